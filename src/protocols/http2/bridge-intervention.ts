/** What happens to the exchanges of a bridge that somebody intercepts: answers, changed requests, changed responses. */
import { HttpRequest } from '../../exchange.ts'
import type { Field } from '../../exchange.ts'
import { abortable } from '../../internal/abortable.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { whenWritable } from '../../internal/writable.ts'
import type { Intervention, RewrittenRequest, RewrittenResponse } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import { BodyPipe } from '../http/body-pipe.ts'
import { changedResponse } from '../http/changed-response.ts'
import { bodyTooLarge, codedFailure, destinationOfUrl, followHost, hasNoBody } from '../http/messages.ts'
import { sendBody } from '../http/send-body.ts'
import { throughStreams } from '../http/through-streams.ts'
import { withBodyLength } from '../http1/write.ts'
import {
  answer,
  answerError,
  begin,
  changeTarget,
  compose,
  linger,
  maxBodyBytesOf,
  sendInterim,
  sendStream,
  streamFailure,
  tellToContinue,
} from './bridge-answer.ts'
import { http2Fields } from './bridge-fields.ts'
import type { BridgedRequestHead } from './bridge-server.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { injectHttp2Faults } from './http2-faults.ts'

/** Does what was decided for an exchange whose request is being held. Never rejects. */
export async function intervene(of: BridgedExchange, plan: MaybePromise<Intervention | undefined>): Promise<void> {
  try {
    const decided = await plan
    if (of.isOver) return
    of.plan = decided
    if (decided?.faults) {
      const faults = of.addFaults(decided.faults)
      if ((await injectHttp2Faults(of, decided.faults)) || (await faults.first())) return
      if (decided.answer) await faults.uplink()
    }
    for (const interim of decided?.interim ?? []) sendInterim(of, interim)
    if (decided?.delayMs) await linger(of, decided.delayMs)
    if (of.isOver) return
    if (decided?.answer) await answer(of, decided.answer)
    else if (decided?.rewriteRequest?.length || decided?.requestStreams?.length) await sendChanged(of, decided)
    else await of.request.forward()
  } catch (error) {
    await answerError(of, codedFailure(error)).catch((failure: unknown) => of.bridge.fail(failure))
  }
}

async function sendChanged(
  of: BridgedExchange,
  { rewriteRequest: rewrites = [], requestStreams: streams = [] }: Intervention,
): Promise<void> {
  const { exchange } = of
  const { request } = exchange
  const needsBody = rewrites.some((rewrite) => rewrite.needsBody)
  if (needsBody) {
    tellToContinue(of)
    if (!(await request.whenComplete()) && !request.isReleased) return
    if (request.isBodyTruncated || !request.isComplete) {
      throw bodyTooLarge(`${of.head.method} ${request.url}`, request.bodySize, maxBodyBytesOf(of))
    }
  }
  const { method, url } = request
  let message: RewrittenRequest = { method, url, fields: request.fields, body: needsBody ? request.body : undefined }
  // Each is given what the one before made.
  for (const rewrite of rewrites) message = await rewrite.apply(message, exchange)
  if (of.isOver) return
  message = followHost(message, url)
  const destination = destinationOfUrl(message.url, url) ?? of.destination
  const { body } = message
  if (streams.length > 0 && (body === undefined ? of.hasBody : body.length > 0)) {
    await sendPiped(of, message, destination)
    return
  }
  const isSized =
    body !== undefined && (body.length > 0 || message.fields.some(([name]) => /^content-length$/i.test(name)))
  const head = headOf(of, {
    ...message,
    fields: isSized ? withBodyLength(message.fields, body.length) : message.fields,
  })
  const sent = noteSent(of, head)
  if (body !== undefined) {
    sent.addBody(body)
    sent.finish()
  }
  await of.request.forward(head, destination, body)
}

/** The head of a changed request. Its authority follows its URL, unless a rule keeps it (RFC 9113 section 8.3.1). */
function headOf(of: BridgedExchange, { method, url, fields, keepsHost }: RewrittenRequest): BridgedRequestHead {
  const { pathname, search, host, protocol } = new URL(url)
  const named = fields.find(([name]) => /^host$/i.test(name))?.[1]
  const own = of.exchange.request.header('host')
  // A Host field that a rule has put in is meant for the server, whichever way it is told.
  const authority = keepsHost ? of.head.authority : named !== undefined && named !== own ? named : host
  return {
    method,
    scheme: protocol.slice(0, -1).replace(/^ws/, 'http'),
    authority:
      url === of.exchange.request.url && (named === undefined || named === own) ? of.head.authority : authority,
    path: `${pathname}${search}`,
    protocol: of.head.protocol,
    fields: fields.filter(([name]) => !/^host$/i.test(name)).map(([name, value]): Field => [name.toLowerCase(), value]),
    sensitive: of.head.sensitive,
  }
}

function noteSent(of: BridgedExchange, { method, scheme, authority, path, fields }: BridgedRequestHead): HttpRequest {
  const url = `${scheme}://${authority}${path}`
  const sent = new HttpRequest({ method, url, target: path, httpVersion: 'HTTP/2', fields })
  sent.keepBody(maxBodyBytesOf(of))
  of.exchange.sentRequest = sent
  return sent
}

/** Sends a changed request whose body passes through the streams of rules. */
async function sendPiped(of: BridgedExchange, message: RewrittenRequest, destination: Destination): Promise<void> {
  const { exchange } = of
  const pipe = new BodyPipe()
  const octets = throughStreams(abortable(pipe, of.signal), of.plan?.requestStreams ?? [], message.fields, exchange)
  const fields = message.fields.filter(([name]) => !/^content-(?:encoding|length)$/i.test(name))
  const head = headOf(of, { ...message, fields })
  const sent = noteSent(of, head)
  feed(of, message.body, pipe)
  await of.request.forward(head, destination)
  if (of.isOver) return
  try {
    await sendBody(
      octets,
      { kind: 'close' },
      {
        send: async (piece) => {
          if (of.isOver) throw new Error('the exchange is over')
          await of.request.send(piece)
          if (of.request.server) await whenWritable(of.request.server.writer)
        },
        note: (content) => sent.addBody(content),
        trailers: () => pipe.trailers,
        by: exchange.rules,
      },
    )
    sent.finish(true, pipe.trailers)
    of.request.end(pipe.trailers)
  } catch (error) {
    if (!of.isOver) of.breakOff(streamFailure(error))
  } finally {
    pipe.close()
  }
}

/** Lets the body flow into the pipe: what a rewrite made, or what has come and what is still to come. */
function feed(of: BridgedExchange, body: Buffer | undefined, pipe: BodyPipe): void {
  const { request } = of.exchange
  of.request.takeHeld()
  if (body !== undefined) {
    of.request.mode = 'drop'
    void pipe.write([body])
    void pipe.end([])
    return
  }
  if (request.isBodyTruncated) {
    throw bodyTooLarge(`${of.head.method} ${request.url}`, request.bodySize, maxBodyBytesOf(of))
  }
  of.request.pipe = pipe
  of.request.mode = 'pipe'
  void pipe.write([request.body])
  if (of.request.isOver) void pipe.end(request.trailers)
}

/**
 * Changes the response of an exchange.
 *
 * @param moment - What of it has come: its head, or its end (or too much to be held).
 * @param sensitive - The fields of the head that may be in no table.
 */
export async function interveneInResponse(
  of: BridgedExchange,
  moment: 'head' | 'end',
  sensitive: readonly string[] = [],
): Promise<void> {
  const isHead = moment === 'head'
  const { exchange, plan } = of
  const original = exchange.serverResponse
  if (!original || of.isOver) return
  const rewrites = plan?.rewriteResponse ?? []
  try {
    if (isHead && rewrites.some((rewrite) => rewrite.needsBody)) {
      of.response.mode = 'hold'
      original.keepBody(maxBodyBytesOf(of))
      return
    }
    if (!isHead && (original.isBodyTruncated || original.isReleased)) {
      throw bodyTooLarge(
        `the response to ${of.head.method} ${exchange.request.url}`,
        original.bodySize,
        maxBodyBytesOf(of),
      )
    }
    const { status, fields, trailers } = original
    const given = {
      status,
      statusText: '',
      fields,
      ...(isHead ? { body: undefined } : { body: original.body, trailers }),
    }
    const message = await changedResponse(given, changeTarget(of))
    if (of.isOver) return
    if (message.body !== undefined || message.stream) {
      of.response.mode = 'drop'
      await compose(of, message, 'server')
    } else await passOn(of, message, sensitive)
  } catch (error) {
    of.response.mode = 'drop'
    await answerError(of, codedFailure(error))
  }
}

/** Sends a changed head on; the body follows as it comes, through the streams of rules if there are any. */
async function passOn(of: BridgedExchange, message: RewrittenResponse, sensitive: readonly string[]): Promise<void> {
  const isPiped =
    ((of.plan?.responseStreams?.length ?? 0) > 0 || (message.trailers?.length ?? 0) > 0) &&
    !hasNoBody(of.head.method, message.status)
  const { response, isBroken } = begin(of, message, isPiped)
  if (isBroken) return
  of.response.respond(response, 'server', { isWhole: false, sensitive })
  if (!isPiped) {
    of.response.mode = 'forward'
    return
  }
  const pipe = new BodyPipe()
  const trailers = (): readonly Field[] => http2Fields(message.trailers ?? pipe.trailers)
  const sendPipe = async (): Promise<void> => {
    const isWhole = await sendStream(of, pipe, message.fields, trailers)
    if (isWhole && !of.isOver) await of.response.end(trailers())
    pipe.close()
  }
  of.response.mode = 'pipe'
  of.response.pipe = pipe
  // It reports its own errors.
  pipe.sent = sendPipe()
}
