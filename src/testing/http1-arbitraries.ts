/** Generates HTTP/1 messages: valid, odd and broken. Octets are texts in latin1, so that a counterexample can be read. */
import fc from 'fast-check'

import type { Field } from '../exchange.ts'

/** A message, and what a recorder should make of it. */
export interface Message {
  readonly wire: string
  readonly body: string
  readonly trailers: readonly Field[]
}

/** A request whose framing is clear. */
export interface ValidRequest extends Message {
  readonly method: string
  readonly target: string
}

/** A final response whose framing is clear, if it answers `method`. */
export interface ValidResponse extends Message {
  readonly status: number
  /** Whether its body ends with the connection. */
  readonly isCloseDelimited: boolean
}

/** One request with its response. */
export interface ValidExchange {
  readonly request: ValidRequest
  readonly interim: readonly string[]
  readonly response: ValidResponse
}

const octet: fc.Arbitrary<string> = fc.nat(255).map((code) => String.fromCharCode(code))
/** Any octets. */
export const octets = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: octet, maxLength })
function oneCharOf(text: string): fc.Arbitrary<string> {
  return fc.nat(text.length - 1).map((at) => text.charAt(at))
}
const body: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: octets(40), weight: 20 },
  { arbitrary: fc.constantFrom('\r\n', '\r\n\r\n', '0\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', '\n', '\0'), weight: 4 },
  { arbitrary: fc.integer({ min: 1, max: 20_000 }).map((count) => 'abcdefg\r\n'.repeat(count)), weight: 1 },
)

const fieldName: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    'X-A',
    'x-a',
    'X-a',
    'Accept',
    'COOKIE',
    'cookie',
    'set-cookie',
    'Date',
    'hostx',
    'Te',
    'Content-Typ',
  ),
  fc.string({ unit: oneCharOf('abcXYZ019!#$%&*+-.^_`|~'), minLength: 1, maxLength: 12 }).map((name) => `x${name}`),
)
const fieldChar: fc.Arbitrary<string> = fc.oneof(
  oneCharOf(' \t,;:="\\/()abcXYZ019'),
  fc.integer({ min: 0x80, max: 0xff }).map((code) => String.fromCharCode(code)),
)
const fieldValue: fc.Arbitrary<string> = fc.string({ unit: fieldChar, maxLength: 16 })
const field: fc.Arbitrary<string> = fc
  .tuple(fieldName, fc.constantFrom(': ', ':', ':\t ', ':  '), fieldValue, fc.option(fieldValue, { freq: 8, nil: '' }))
  .map(([name, separator, value, fold]) => `${name}${separator}${value}${fold && `\r\n ${fold}`}`)
const fields: fc.Arbitrary<readonly string[]> = fc.array(field, { maxLength: 4 })

const trailer: fc.Arbitrary<Field> = fc.tuple(fieldName, fc.string({ unit: oneCharOf('ab:;=09'), maxLength: 6 }))

/** How a body is framed, before a message says so. */
type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly body: string; readonly name: string; readonly pad: string }
  | {
      readonly kind: 'chunked'
      readonly name: string
      readonly wire: string
      readonly body: string
      readonly trailers: readonly Field[]
    }
  | { readonly kind: 'close'; readonly body: string }

const extension: fc.Arbitrary<string> = fc.constantFrom(
  '',
  '',
  '',
  ';a=b',
  ' ;x',
  ';q="y z"',
  '\t',
  ';;',
  '; long=' + 'z'.repeat(50),
)
const chunk = fc.record({
  data: body.map((data) => data || 'x'),
  isUpper: fc.boolean(),
  zeros: fc.constantFrom('', '0', '000'),
  extension,
})
const chunked: fc.Arbitrary<Framing> = fc
  .record({
    name: fc.constantFrom('Transfer-Encoding: chunked', 'transfer-encoding:chunked', 'TRANSFER-Encoding:  Chunked '),
    chunks: fc.array(chunk, { maxLength: 4 }),
    last: fc.tuple(fc.constantFrom('0', '00'), extension),
    trailers: fc.array(trailer, { maxLength: 2 }),
  })
  .map(({ name, chunks, last, trailers }): Framing => {
    const size = (data: string, isUpper: boolean): string =>
      isUpper ? data.length.toString(16).toUpperCase() : data.length.toString(16)
    const wire =
      chunks
        .map((each) => `${each.zeros}${size(each.data, each.isUpper)}${each.extension}\r\n${each.data}\r\n`)
        .join('') +
      `${last.join('')}\r\n` +
      `${trailers.map(([key, value]) => `${key}: ${value}\r\n`).join('')}\r\n`
    return { kind: 'chunked', name, wire, body: chunks.map((each) => each.data).join(''), trailers }
  })
const length: fc.Arbitrary<Framing> = fc.record({
  kind: fc.constant('length' as const),
  body,
  name: fc.constantFrom('Content-Length', 'content-length', 'cONTENT-lENGTH'),
  pad: fc.constantFrom('', '0', ' ', '\t'),
})
const none: fc.Arbitrary<Framing> = fc.constant({ kind: 'none' })
const close: fc.Arbitrary<Framing> = body.map((text): Framing => ({ kind: 'close', body: text }))

const lineEnd: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: fc.constant('\r\n'), weight: 5 },
  { arbitrary: fc.constant('\n'), weight: 1 },
)

function head(lines: readonly string[], end: string): string {
  return lines.map((line) => line + end).join('') + end
}

function framingLines(framing: Framing): readonly string[] {
  if (framing.kind === 'length') return [`${framing.name}: ${framing.pad}${framing.body.length}`]
  return framing.kind === 'chunked' ? [framing.name] : []
}

function framedBody(framing: Framing): string {
  if (framing.kind === 'none') return ''
  return framing.kind === 'chunked' ? framing.wire : framing.body
}

const method: fc.Arbitrary<string> = fc.constantFrom(
  'GET',
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'get',
  'M-SEARCH',
  "X!'~",
)
const target: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '/',
    '/',
    '/a/b?c=d&e',
    '*',
    'http://other.test/x',
    '/%00%0d%0a',
    '//x',
    '/{"<>|\\^`}',
    '/caf\xe9',
    '/a#b',
    'x',
  ),
  fc.string({ unit: oneCharOf('/?&=%.a0~:@[]'), maxLength: 20 }).map((text) => `/${text}`),
)

/** Requests whose framing is clear, of every kind but CONNECT and upgrades. */
export const validRequest: fc.Arbitrary<ValidRequest> = fc
  .record({
    empty: fc.oneof(
      { arbitrary: fc.constant(''), weight: 9 },
      { arbitrary: fc.constantFrom('\r\n', '\n\r\n'), weight: 1 },
    ),
    method,
    target,
    isHttp10: fc.oneof({ arbitrary: fc.constant(false), weight: 9 }, { arbitrary: fc.constant(true), weight: 1 }),
    before: fields,
    framing: fc.oneof(none, length, chunked),
    after: fields,
    lineEnd,
  })
  .map(({ empty, isHttp10, before, framing: wanted, after, lineEnd: end, ...line }) => {
    const framing: Framing = isHttp10 && wanted.kind === 'chunked' ? { kind: 'none' } : wanted
    const startLine = `${line.method} ${line.target} HTTP/1.${isHttp10 ? 0 : 1}`
    const lines = [startLine, ...before, 'Host: origin.test', ...framingLines(framing), ...after]
    return {
      ...line,
      wire: empty + head(lines, end) + framedBody(framing),
      body: framing.kind === 'none' ? '' : framing.body,
      trailers: framing.kind === 'chunked' ? framing.trailers : [],
    }
  })

/** Heads of `1xx` responses. */
const interim: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom('100 Continue', '102 Processing', '103 Early Hints', '199 '), fields, lineEnd)
  .map(([status, lines, end]) => head([`HTTP/1.1 ${status}`, ...lines], end))

/** What a response is made of, whatever it answers. */
export interface ResponsePlan {
  readonly status: number
  readonly reason: string
  readonly isHttp10: boolean
  readonly before: readonly string[]
  readonly framing: Framing
  readonly after: readonly string[]
  readonly lineEnd: string
}

/** Responses of all kinds. */
export const responsePlan: fc.Arbitrary<ResponsePlan> = fc.record({
  status: fc.constantFrom(200, 200, 200, 201, 204, 206, 301, 304, 404, 500, 599, 999),
  reason: fc.oneof(
    fc.constantFrom(' OK', ' ', '', ' Not  Found', ' caf\xe9'),
    fieldValue.map((text) => ` ${text}`),
  ),
  isHttp10: fc.oneof({ arbitrary: fc.constant(false), weight: 9 }, { arbitrary: fc.constant(true), weight: 1 }),
  before: fields,
  framing: fc.oneof(length, chunked, close),
  after: fields,
  lineEnd,
})

/** The response of a plan to a method; one that must not end with the connection has a length instead. */
export function responseTo(requestMethod: string, plan: ResponsePlan, mayClose: boolean): ValidResponse {
  const { status, reason, isHttp10, before, after, lineEnd: end } = plan
  let { framing } = plan
  const mustChange = (framing.kind === 'close' && !mayClose) || (framing.kind === 'chunked' && isHttp10)
  if (mustChange && framing.kind !== 'none')
    framing = { kind: 'length', name: 'Content-Length', pad: '', body: framing.body }
  const lines = [`HTTP/1.${isHttp10 ? 0 : 1} ${status}${reason}`, ...before, ...framingLines(framing), ...after]
  // Their heads may say a length all the same.
  const isBodiless = requestMethod === 'HEAD' || status === 204 || status === 304
  const isCloseDelimited = framing.kind === 'close' && !isBodiless
  return {
    status,
    isCloseDelimited,
    wire: head(lines, end) + (isBodiless ? '' : framedBody(framing)),
    body: isBodiless || framing.kind === 'none' ? '' : framing.body,
    trailers: framing.kind === 'chunked' && !isBodiless ? framing.trailers : [],
  }
}

/** What an exchange is made of: its response depends on its place on the connection. */
export const validExchangePlan: fc.Arbitrary<{
  request: ValidRequest
  interim: string[]
  response: ResponsePlan
}> = fc.record({
  request: validRequest,
  interim: fc.array(interim, { maxLength: 2 }),
  response: responsePlan,
})

/** Exchanges on one connection. Only the last response may be delimited by the connection's end. */
export const validExchanges: fc.Arbitrary<readonly ValidExchange[]> = fc
  .array(validExchangePlan, { minLength: 1, maxLength: 4 })
  .map((plans) =>
    plans.map(({ request, interim: heads, response }, index) => ({
      request,
      interim: heads,
      response: responseTo(request.method, response, index === plans.length - 1),
    })),
  )

// ── Odd and broken ───────────────────────────────────────────────────────────────────────────────────────────────────

const fragment: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...['GET ', 'POST ', 'HEAD ', 'CONNECT ', 'PRI ', '/', '*', ' HTTP/1.1', ' HTTP/1.0', ' HTTP/2.0', ' http/1.1'],
    ...[
      'HTTP/1.1 200 OK',
      'HTTP/1.1 100',
      'HTTP/1.1 101 X',
      'HTTP/1.1 204',
      'HTTP/1.0 200',
      'HTTP/1.1 2000',
      'ICY 200 OK',
    ],
    ...['\r\n', '\r\n', '\r\n', '\n', '\r', '\r\n\r\n', '\r\n\r\n', '\n\n', ' ', '\t', ':', ': ', '\0', ',', ';'],
    ...['Content-Length', 'Content-Length: 5', 'content-length: 3', 'Content-Length : 2', 'Content-Length: +5'],
    ...[
      'Content-Length: 5, 5',
      'Content-Length: 5, 6',
      'Content-Length: -1',
      'Content-Length: 0x5',
      'Content-Length: 1e1',
    ],
    ...['Content-Length: 99999999999999999999', 'Content-Length:', 'Transfer-Encoding: chunked', 'transfer-encoding'],
    ...['Transfer-Encoding: gzip', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: chunked, gzip', 'xchunked'],
    ...[
      'Transfer-Encoding: chunked, chunked',
      'Transfer-Encoding:\r\n chunked',
      'Connection: close',
      'Connection: keep-alive',
    ],
    ...[
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Expect: 100-continue',
      'Host: a',
      'Host: b',
      'Host:',
      ' folded',
      'no colon',
    ],
    ...[
      '0\r\n\r\n',
      '5\r\nhello\r\n',
      '5;x=y\r\nhello\r\n',
      'g\r\n',
      '5\nhello\n',
      'ffffffffffffffffff\r\n',
      '0',
      'hello',
    ],
  ),
  octets(6),
)
/** Pieces of messages, put together at random. */
export const soup: fc.Arbitrary<string> = fc
  .array(fragment, { minLength: 1, maxLength: 12 })
  .map((parts) => parts.join(''))

/** A valid message with one thing changed somewhere. */
function mutated(message: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(message, fc.nat(), fc.nat(4), fc.oneof(fc.constant(''), fragment))
    .map(([wire, place, cut, inserted]) => {
      const at = place % (wire.length + 1)
      return wire.slice(0, at) + inserted + wire.slice(at + cut)
    })
}

const framingConflict: fc.Arbitrary<readonly string[]> = fc.array(
  fragment.filter((text) => /^(?:content|transfer|connection|upgrade|expect|host)/i.test(text)),
  { minLength: 1, maxLength: 3 },
)
function headWith(startLine: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(startLine, fields, framingConflict, fields, lineEnd, fc.oneof(fc.constant(''), fragment, soup))
    .map(([line, before, framing, after, end, rest]) => head([line, ...before, ...framing, ...after], end) + rest)
}

/** Octets where a request is expected: nearly right, contradictory, or anything. */
export const oddRequest: fc.Arbitrary<string> = fc.oneof(
  mutated(validRequest.map(({ wire }) => wire)),
  headWith(
    fc
      .tuple(
        method,
        target,
        fc.constantFrom(' HTTP/1.1', ' HTTP/1.1', ' HTTP/1.0', ' HTTP/1.7', ' HTTP/2.0', ' HTTP/1.1 x', ''),
      )
      .map(([name, where, version]) => `${name} ${where}${version}`),
  ),
  soup,
  octets(60),
)

/** Octets where a response is expected. */
export const oddResponse: fc.Arbitrary<string> = fc.oneof(
  mutated(responsePlan.map((plan) => responseTo('GET', plan, true).wire)),
  headWith(
    fc.constantFrom(
      'HTTP/1.1 200 OK',
      'HTTP/1.1 204 No',
      'HTTP/1.1 304 x',
      'HTTP/1.0 200',
      'HTTP/1.1  200',
      'HTTP/1.1 20',
    ),
  ),
  soup,
  octets(60),
)
