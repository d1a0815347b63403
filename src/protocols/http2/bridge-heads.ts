/** Heads that rules edit as octets, and answers that are octets: as far as HTTP/2 has a way to say them. */
import { HttpResponse } from '../../exchange.ts'
import type { HeadPart } from '../../fault.ts'
import type { Answer } from '../../middleware.ts'
import { Framer } from '../http1/framer.ts'
import { findHeadEnd, parseResponseHead } from '../http1/head.ts'
import { writeResponseHead } from '../http1/write.ts'
import { http2Fields } from './bridge-fields.ts'
import type { BridgedResponseHead } from './bridge-server.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { ERROR_CODE } from './frame.ts'

/** A head in which each line is one that HTTP/2 can say (RFC 9113 section 8.2.1), and whose lines end as they should. */
const SOUND = /^HTTP\/1\.\d [2-5]\d\d(?: [^\0\r\n]*)?\r\n(?:[\w!#$%&'*+.^`|~-]+:[^\0\r\n]*\r\n)*\r\n$/

/** A head with the edits of rules; undefined when that is none any more. */
export function editedHead(head: BridgedResponseHead, edits: readonly HeadPart[]): BridgedResponseHead | undefined {
  if (edits.length === 0) return head
  let octets = writeResponseHead({ status: head.status, statusText: '', fields: head.fields })
  for (const part of edits) octets = part.edit(octets)
  if (findHeadEnd(octets) !== octets.length) return undefined
  if (!SOUND.test(octets.toString('latin1'))) return undefined
  const { status, fields } = parseResponseHead(octets)
  return { ...head, status, fields: http2Fields(fields) }
}

/** Answers with octets that need not be HTTP: what can be read of them as a response, and a broken stream where none is. */
export async function answerRaw(of: BridgedExchange, how: Extract<Answer, { kind: 'raw' }>): Promise<void> {
  const { exchange, head } = of
  const framer = new Framer({
    kind: 'response',
    maxHeadBytes: of.bridge.connection.flow.settings.maxHeadBytes,
    requestMethod: () => head.method,
  })
  framer.push(how.octets(exchange))
  framer.end()
  let isWhole = false
  for (let part = framer.read(); part && !isWhole; part = framer.read()) {
    if (part.kind === 'opaque') break
    if (part.kind === 'end') isWhole = true
    else if (part.kind === 'body') {
      for (const slice of part.content) {
        exchange.response?.addBody(slice)
        await of.response.send(slice)
      }
    } else {
      const { status, fields } = parseResponseHead(part.octets)
      const sent = { status, statusText: '', httpVersion: 'HTTP/2', fields: http2Fields(fields) }
      if (status < 200) of.response.interim(sent)
      else of.response.respond(new HttpResponse(sent), 'rule', { isWhole: false })
    }
  }
  exchange.answeredBy = 'rule'
  if (of.isOver) return
  if (how.end === 'stall') {
    exchange.isStalled = true
    return
  }
  of.faults?.responded()
  if (isWhole && how.end === 'close' && exchange.response) {
    await of.response.end([])
    return
  }
  if (how.end === 'reset') {
    of.end('fault')
    of.bridge.breakDown('reset')
  } else of.reset('fault', ERROR_CODE.protocolError)
}
