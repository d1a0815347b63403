/** Answers of a bridge: in place of a server, by rules or with an error of the mitm's own; and responses of known content. */
import { errorText, isMitmError, MitmError } from '../../errors.ts'
import { HttpResponse } from '../../exchange.ts'
import type { Exchange, Field } from '../../exchange.ts'
import { abortable, discard } from '../../internal/abortable.ts'
import { whenWritable } from '../../internal/writable.ts'
import type { Answer, InterimResponse, RewrittenResponse } from '../../middleware.ts'
import { changedResponse } from '../http/changed-response.ts'
import type { ChangeTarget } from '../http/changed-response.ts'
import { errorResponse, statusFor } from '../http/error-response.ts'
import { hasNoBody, saysLengthOf } from '../http/messages.ts'
import { sendBody } from '../http/send-body.ts'
import { throughStreams } from '../http/through-streams.ts'
import { withBodyLength } from '../http1/write.ts'
import { http2Fields } from './bridge-fields.ts'
import { answerRaw, editedHead } from './bridge-heads.ts'
import type { BridgedResponseHead } from './bridge-server.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { BridgedTunnel } from './bridged-tunnel.ts'
import { ERROR_CODE } from './frame.ts'

/** Reports an error to the client as the response; if it has got a part of one, by ending the stream. */
export async function answerError(of: BridgedExchange, error: MitmError): Promise<void> {
  const { exchange } = of
  if (of.isOver) return
  exchange.error = error
  if (exchange.response) {
    of.breakOff(error)
    return
  }
  of.bridge.connection.report(error)
  of.request.mode = 'drop'
  of.response.mode = 'drop'
  of.request.takeHeld()
  of.request.abort(ERROR_CODE.cancel)
  of.plan = undefined
  await compose(of, errorResponse(statusFor(error), error), 'mitm')
}

/** Sends an interim response of a rule. */
export function sendInterim(of: BridgedExchange, { status, fields }: InterimResponse): void {
  if (of.isOver) return
  of.response.interim({ status, fields: http2Fields(fields) })
  if (status === 100) of.request.hasContinued = true
}

/** Waits so long, or until the exchange is over. */
export async function linger({ signal }: BridgedExchange, ms: number): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', settle)
      resolve()
    }
    const timer = setTimeout(settle, ms).unref()
    signal.addEventListener('abort', settle)
  })
}

/** Answers an exchange in place of a server. */
export async function answer(of: BridgedExchange, how: Answer): Promise<void> {
  of.request.mode = 'drop'
  of.request.takeHeld()
  if (how.kind === 'block') {
    of.reset('blocked', ERROR_CODE.internalError)
    return
  }
  if (how.kind === 'webSocket') {
    if (of.head.protocol?.toLowerCase() === 'websocket') BridgedTunnel.openMock(of, how.mock)
    else await compose(of, noWebSocket(of), 'mitm')
    return
  }
  tellToContinue(of)
  // The body is taken in even where nobody looks: it is recorded, and some clients read no answer before it is sent.
  // What asks for a tunnel has none, and does not end.
  if (of.head.method !== 'CONNECT' && (!(await of.exchange.request.whenOver()) || of.isOver)) return
  if (how.kind === 'raw') {
    await answerRaw(of, how)
    return
  }
  const response = await changedResponse(await how.response(of.exchange), changeTarget(of))
  if (of.isOver) discard(response.stream)
  else await compose(of, response, how.answeredBy ?? 'rule')
}

/** What a request is answered with for which there is nothing but a WebSocket. */
function noWebSocket({ exchange }: BridgedExchange): RewrittenResponse {
  const text = `Cannot answer ${exchange.request.method} ${exchange.request.url} by a WebSocket: it does not ask for one`
  return {
    status: 400,
    statusText: '',
    fields: [['content-type', 'text/plain; charset=utf-8']],
    body: Buffer.from(`playwright-mitm: ${text}\n`),
  }
}

/** Tells a client that waits for permission to send its body, because the server will not be asked in time. */
export function tellToContinue(of: BridgedExchange): void {
  if (of.request.isOver || of.request.hasContinued || !of.hasBody) return
  if (of.exchange.request.header('expect')?.toLowerCase() !== '100-continue') return
  sendInterim(of, { status: 100, fields: [] })
}

/** What is done to its response. */
export function changeTarget(of: BridgedExchange): ChangeTarget {
  return {
    rewrites: of.plan?.rewriteResponse ?? [],
    exchange: of.exchange,
    signal: of.signal,
    maxBodyBytes: maxBodyBytesOf(of),
    waits: () => undefined,
  }
}

/** How much of a body is held. */
export function maxBodyBytesOf(of: BridgedExchange): number {
  return of.bridge.connection.flow.settings.maxBodyBytes
}

/** Sends a response of our own making, or one that was changed, to its end. */
export async function compose(
  of: BridgedExchange,
  message: RewrittenResponse,
  answeredBy: Exchange['answeredBy'],
): Promise<void> {
  const isPiped = (of.plan?.responseStreams?.length ?? 0) > 0
  const isBodiless = hasNoBody(of.head.method, message.status)
  const body = message.body ?? Buffer.alloc(0)
  const isStreamed = message.stream !== undefined || isPiped
  const isSized = !isStreamed && (!isBodiless || saysLengthOf(body, of.head.method, message.fields))
  const sized = isSized ? withBodyLength(message.fields, body.length) : message.fields
  const { response, isBroken } = begin(of, { ...message, fields: sized }, isPiped)
  if (isBroken) {
    discard(message.stream)
    return
  }
  const trailers = http2Fields(message.trailers ?? [])
  const hasBody = !isBodiless && (isStreamed || body.length > 0)
  of.response.respond(response, answeredBy, { isWhole: !hasBody && trailers.length === 0 })
  if (!hasBody) discard(message.stream)
  else if (isStreamed) {
    if (!(await sendStream(of, message.stream ?? justOne(body), message.fields, () => trailers))) return
  } else {
    response.addBody(body)
    await of.response.send(body)
  }
  if (!of.isOver) await of.response.end(trailers)
}

/** The head of a response as it is sent, with the last edits of rules. `isBroken`: it is none any more. */
export function begin(
  of: BridgedExchange,
  { status, fields }: BridgedResponseHead,
  isPiped: boolean,
): { readonly response: HttpResponse; readonly isBroken: boolean } {
  const kept = isPiped ? fields.filter(([name]) => !/^content-(?:encoding|length)$/i.test(name)) : fields
  const head = editedHead({ status, fields: http2Fields(kept) }, of.plan?.responseHead ?? [])
  if (head) return { response: new HttpResponse({ ...head, statusText: '', httpVersion: 'HTTP/2' }), isBroken: false }
  // There is no way to say it in HTTP/2: what an endpoint makes of a malformed head is this (RFC 9113 section 8.1.1).
  of.faults?.responded()
  of.reset('fault', ERROR_CODE.protocolError)
  return { response: new HttpResponse({ status, statusText: '', httpVersion: 'HTTP/2', fields }), isBroken: true }
}

/** Sends a body while it comes. @returns Whether all of it has gone. */
export async function sendStream(
  of: BridgedExchange,
  source: AsyncIterable<Uint8Array>,
  fields: readonly Field[],
  trailers: () => readonly Field[],
): Promise<boolean> {
  const rewrites = of.plan?.responseStreams ?? []
  const said = rewrites.length > 0 ? undefined : contentLength(fields)
  try {
    const octets = throughStreams(abortable(source, of.signal), rewrites, fields, of.exchange)
    await sendBody(octets, said === undefined ? { kind: 'close' } : { kind: 'length', length: said }, {
      send: async (piece) => {
        if (of.isOver) throw new Error('the exchange is over')
        await of.response.send(piece)
        await whenWritable(of.stream)
      },
      note: (content) => of.exchange.response?.addBody(content),
      trailers,
      by: of.exchange.rules,
    })
    return true
  } catch (error) {
    if (!of.isOver) of.breakOff(streamFailure(error))
    return false
  }
}

/** What a body that streams failed with. */
export function streamFailure(error: unknown): MitmError {
  if (isMitmError(error)) return error
  return new MitmError('MITM_RULE_FAILED', `Cannot stream the body: ${errorText(error)}`, { cause: error })
}

function contentLength(fields: readonly Field[]): number | undefined {
  const value = fields.find(([name]) => /^content-length$/i.test(name))?.[1].trim()
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}

async function* justOne(body: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  if (body.length > 0) yield body
}
