/** The fault matrix: HTTP/1 responses that are malformed, or unwelcome. */
import type { FaultCase } from './fault-case.ts'

const HTTP = { layer: 'http' } as const
const SUCCEEDS = { chromium: 'succeeds', undici: 'succeeds', https: 'succeeds' } as const

/** What Chromium forgives, and llhttp, the parser of both of Node's clients, does not. */
const FORGIVEN = (what: string, code: string): Pick<FaultCase, 'what' | 'chromium' | 'undici' | 'https'> => ({
  what,
  chromium: 'succeeds',
  undici: 'HTTPParserError',
  https: code,
})

const LENGTHS: readonly FaultCase[] = [
  {
    ...HTTP,
    code: "contentLength('tooLarge')",
    fault: (faults) => faults.contentLength('tooLarge'),
    what: '`content-length` promises more than comes',
    chromium: 'body: ERR_CONTENT_LENGTH_MISMATCH',
    undici: 'body: UND_ERR_SOCKET',
    https: 'body: ECONNRESET',
  },
  {
    ...HTTP,
    code: "contentLength('tooSmall', { by: 90 })",
    fault: (faults) => faults.contentLength('tooSmall', { by: 90 }),
    what: 'it promises less: the rest is cut off; the request of `node:https` fails behind the response',
    chromium: 'succeeds, 10 of 100 octets',
    undici: 'succeeds, 10 of 100 octets',
    https: ['body: HPE_CLOSED_CONNECTION', 'body: HPE_INVALID_CONSTANT'],
  },
  {
    ...HTTP,
    code: "contentLength('notANumber')",
    fault: (faults) => faults.contentLength('notANumber'),
    what: 'it is `many`',
    chromium: 'succeeds',
    undici: 'HTTPParserError',
    https: 'HPE_INVALID_CONTENT_LENGTH',
  },
  {
    ...HTTP,
    code: "contentLength('negative')",
    fault: (faults) => faults.contentLength('negative'),
    what: 'it is below zero',
    chromium: 'succeeds',
    undici: 'HTTPParserError',
    https: 'HPE_INVALID_CONTENT_LENGTH',
  },
  {
    ...HTTP,
    code: "contentLength('duplicate')",
    fault: (faults) => faults.contentLength('duplicate'),
    what: 'two fields with the right length',
    chromium: 'succeeds',
    undici: ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'HPE_UNEXPECTED_CONTENT_LENGTH'],
    https: 'HPE_UNEXPECTED_CONTENT_LENGTH',
  },
  {
    ...HTTP,
    code: "contentLength('conflicting')",
    fault: (faults) => faults.contentLength('conflicting'),
    what: 'two fields that differ',
    chromium: 'ERR_RESPONSE_HEADERS_MULTIPLE_CONTENT_LENGTH',
    undici: ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'HPE_UNEXPECTED_CONTENT_LENGTH'],
    https: 'HPE_UNEXPECTED_CONTENT_LENGTH',
  },
  {
    ...HTTP,
    code: "contentLength('withTransferEncoding')",
    fault: (faults) => faults.contentLength('withTransferEncoding'),
    what: 'a chunked body, and `content-length: 0` beside it',
    chromium: 'succeeds',
    undici: 'HTTPParserError',
    https: 'HPE_INVALID_TRANSFER_ENCODING',
  },
]

const HEADS: readonly FaultCase[] = [
  {
    ...HTTP,
    code: "malformedHead('nul')",
    fault: (faults) => faults.malformedHead('nul'),
    what: 'a NUL in a header field',
    chromium: 'ERR_INVALID_HTTP_RESPONSE',
    undici: 'HTTPParserError',
    https: 'HPE_INVALID_HEADER_TOKEN',
  },
  {
    ...HTTP,
    ...FORGIVEN('a line without a colon', 'HPE_INVALID_HEADER_TOKEN'),
    code: "malformedHead('noColon')",
    fault: (faults) => faults.malformedHead('noColon'),
  },
  {
    ...HTTP,
    ...FORGIVEN('a value that goes on in the next line', 'HPE_INVALID_HEADER_TOKEN'),
    code: "malformedHead('obsFold')",
    fault: (faults) => faults.malformedHead('obsFold'),
  },
  {
    ...HTTP,
    ...FORGIVEN('a space before the colon', 'HPE_INVALID_HEADER_TOKEN'),
    code: "malformedHead('spaceBeforeColon')",
    fault: (faults) => faults.malformedHead('spaceBeforeColon'),
  },
  {
    ...HTTP,
    ...FORGIVEN('lines that end with LF alone', 'HPE_CR_EXPECTED'),
    code: "malformedHead('bareLf')",
    fault: (faults) => faults.malformedHead('bareLf'),
  },
  {
    ...HTTP,
    ...FORGIVEN('`HTTP/9.9`', 'HPE_INVALID_VERSION'),
    code: "malformedHead('badVersion')",
    fault: (faults) => faults.malformedHead('badVersion'),
  },
  {
    ...HTTP,
    ...FORGIVEN('the status 9999', 'HPE_INVALID_STATUS'),
    chromium: 'status 9999',
    code: "malformedHead('status9999')",
    fault: (faults) => faults.malformedHead('status9999'),
  },
  {
    ...HTTP,
    code: 'largeHead({ bytes: 17_000 })',
    fault: (faults) => faults.largeHead({ bytes: 17_000 }),
    what: 'a head of that size: Node takes 16 KiB',
    chromium: 'succeeds',
    undici: 'UND_ERR_HEADERS_OVERFLOW',
    https: 'HPE_HEADER_OVERFLOW',
  },
  {
    ...HTTP,
    code: 'largeHead({ bytes: 300_000 })',
    fault: (faults) => faults.largeHead({ bytes: 300_000 }),
    what: 'and Chromium 256 KiB',
    chromium: 'ERR_RESPONSE_HEADERS_TOO_BIG',
    undici: 'UND_ERR_HEADERS_OVERFLOW',
    https: 'HPE_HEADER_OVERFLOW',
  },
  {
    ...HTTP,
    code: 'twoLocations()',
    fault: (faults) => faults.twoLocations(),
    what: 'two `location` fields that differ',
    chromium: 'ERR_RESPONSE_HEADERS_MULTIPLE_LOCATION',
    undici: 'succeeds',
    https: 'succeeds',
  },
  {
    ...HTTP,
    ...SUCCEEDS,
    code: 'unsolicited100()',
    fault: (faults) => faults.unsolicited100(),
    what: '`100 Continue` to a request that expects none',
    undici: 'UND_ERR_SOCKET',
  },
  {
    ...HTTP,
    code: 'unsolicited101()',
    fault: (faults) => faults.unsolicited101(),
    what: '`101 Switching Protocols` before the response to a request that asked for no other',
    chromium: 'succeeds',
    undici: 'UND_ERR_SOCKET',
    https: 'upgraded',
  },
]

const BODIES: readonly FaultCase[] = [
  {
    ...HTTP,
    code: 'malformedChunk()',
    fault: (faults) => faults.malformedChunk(),
    what: 'a head with 200, then octets that are no chunk; the connection is closed',
    chromium: ['body: ERR_INVALID_CHUNKED_ENCODING', 'body: ERR_INCOMPLETE_CHUNKED_ENCODING'],
    undici: 'body: HTTPParserError',
    https: 'body: HPE_INVALID_CHUNK_SIZE',
  },
  {
    ...HTTP,
    code: 'randomDataThenClose()',
    fault: (faults) => faults.randomDataThenClose(),
    what:
      'octets that are no HTTP; the connection is closed. Chromium takes them for HTTP/0.9, which only a page of the same ' +
      'origin may read: others see `ERR_FAILED`',
    chromium: 'succeeds, with other octets',
    undici: 'HTTPParserError',
    https: 'HPE_INVALID_CONSTANT',
  },
  {
    ...HTTP,
    code: "corruptEncoding('mislabelled')",
    fault: (faults) => faults.corruptEncoding('mislabelled'),
    what: '`content-encoding: gzip`, but the body is not coded; `node:https` decodes nothing',
    asked: 'content-length',
    chromium: 'body: ERR_CONTENT_DECODING_FAILED',
    undici: 'body: Z_DATA_ERROR',
    https: 'succeeds, not decoded',
  },
  {
    ...HTTP,
    code: "corruptEncoding('corrupt', { coding: 'br' })",
    fault: (faults) => faults.corruptEncoding('corrupt', { coding: 'br' }),
    what: 'a coded body that cannot be decoded',
    asked: 'gzip',
    chromium: 'body: ERR_CONTENT_DECODING_FAILED',
    undici: 'body: ERR__ERROR_FORMAT_WINDOW_BITS',
    https: 'succeeds, not decoded',
  },
  {
    ...HTTP,
    code: "corruptEncoding('truncated')",
    fault: (faults) => faults.corruptEncoding('truncated'),
    what: 'a coded body of which half is missing, with the right `content-length`',
    asked: 'gzip',
    chromium: 'succeeds, 8 of 100 octets',
    undici: 'succeeds, 8 of 100 octets',
    https: 'succeeds, not decoded',
  },
]

const STATUSES: readonly FaultCase[] = [
  {
    ...HTTP,
    ...SUCCEEDS,
    code: 'missingCors()',
    fault: (faults) => faults.missingCors(),
    what: 'no `access-control-…` fields: a page of another origin may not read it; nobody but a browser minds',
    asked: 'cross-origin',
    chromium: 'ERR_FAILED',
  },
  {
    ...HTTP,
    code: 'status(503, { retryAfter: 2 })',
    fault: (faults) => faults.status(503, { retryAfter: 2 }),
    what: 'an answer in place of the server',
    chromium: 'status 503',
    undici: 'status 503',
    https: 'status 503',
  },
  {
    ...HTTP,
    code: 'redirectLoop()',
    fault: (faults) => faults.redirectLoop(),
    what: 'a redirect to itself, which `node:https` does not follow',
    chromium: 'ERR_TOO_MANY_REDIRECTS',
    undici: 'redirect count exceeded',
    https: 'status 302',
  },
  {
    ...HTTP,
    ...SUCCEEDS,
    code: "wrongContentType({ type: 'text/html' })",
    fault: (faults) => faults.wrongContentType({ type: 'text/html' }),
    what: 'another `content-type`; modules, style sheets and event streams are refused with it',
  },
]

export const HTTP_CASES: readonly FaultCase[] = [...LENGTHS, ...HEADS, ...BODIES, ...STATUSES]
