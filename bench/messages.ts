/** The octets of the small request and its response: what a Chromium sends, and what a JSON service answers. */

export const SMALL_HOST = 'small.bench.test'
export const BULK_HOST = 'bulk.test'
export const HTTP2_HOST = 'http2.test'
export const SOCKET_HOST = 'socket.test'

/** About 500 octets. */
export function smallRequest(host: string): Buffer {
  return Buffer.from(
    [
      'GET /api/items?page=1&size=20 HTTP/1.1',
      `Host: ${host}`,
      'Connection: keep-alive',
      'sec-ch-ua: "Chromium";v="147", "Not.A/Brand";v="24"',
      'sec-ch-ua-mobile: ?0',
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36',
      'Accept: */*',
      'Sec-Fetch-Site: same-origin',
      'Sec-Fetch-Mode: cors',
      `Referer: https://${host}/`,
      'Accept-Encoding: gzip, deflate, br, zstd',
      'Accept-Language: en-GB,en;q=0.9',
      'Cookie: session=9f86d081884c7d65',
      '\r\n',
    ].join('\r\n'),
  )
}

export const SMALL_BODY: string = JSON.stringify({
  id: 4711,
  name: 'A small thing',
  tags: ['a', 'b'],
  price: { eur: 42, cent: 17 },
})

/** About 300 octets. */
export const SMALL_RESPONSE: Buffer = Buffer.from(
  [
    'HTTP/1.1 200 OK',
    'Content-Type: application/json; charset=utf-8',
    'Cache-Control: no-store',
    'ETag: W/"5f-3c2a1b"',
    'Date: Thu, 01 Jan 2026 00:00:00 GMT',
    'Connection: keep-alive',
    `Content-Length: ${SMALL_BODY.length}`,
    `\r\n${SMALL_BODY}`,
  ].join('\r\n'),
)

/** The same in HTTP/2. */
export const HTTP2_REQUEST: Readonly<Record<string, string>> = {
  ':method': 'GET',
  ':path': '/api/items?page=1&size=20',
  'sec-ch-ua': '"Chromium";v="147", "Not.A/Brand";v="24"',
  'sec-ch-ua-mobile': '?0',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36',
  accept: '*/*',
  'sec-fetch-site': 'same-origin',
  'sec-fetch-mode': 'cors',
  referer: `https://${HTTP2_HOST}/`,
  'accept-encoding': 'gzip, deflate, br, zstd',
  'accept-language': 'en-GB,en;q=0.9',
  cookie: 'session=9f86d081884c7d65',
}

/** The same in HTTP/2. */
export const HTTP2_RESPONSE: Readonly<Record<string, string | number>> = {
  ':status': 200,
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
  etag: 'W/"5f-3c2a1b"',
  date: 'Thu, 01 Jan 2026 00:00:00 GMT',
  'content-length': SMALL_BODY.length,
}

/** The handshake of a WebSocket (RFC 6455 section 1.3, with its key and its answer). */
export const SOCKET_REQUEST: Buffer = Buffer.from(
  [
    'GET /live HTTP/1.1',
    `Host: ${SOCKET_HOST}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '\r\n',
  ].join('\r\n'),
)
export const SOCKET_RESPONSE: Buffer = Buffer.from(
  [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    '\r\n',
  ].join('\r\n'),
)

const socketPayload = Buffer.alloc(1024, '{"type":"price","eur":42,"at":"2026-01-01T00:00:00Z"}\n')
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** A text message of 1 KiB, as a client sends it. */
export const SOCKET_MESSAGE: Buffer = Buffer.concat([
  Buffer.from([0x81, 0x80 | 126, 0x04, 0x00]),
  MASK,
  socketPayload.map((octet, at) => octet ^ (MASK[at % 4] ?? 0)),
])
/** The same, as a server sends it. */
export const SOCKET_ECHO: Buffer = Buffer.concat([Buffer.from([0x81, 126, 0x04, 0x00]), socketPayload])
