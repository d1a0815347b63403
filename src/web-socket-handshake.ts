/** Which exchanges are handshakes of WebSockets. */
import type { Exchange } from './exchange.ts'

/**
 * Whether an exchange asks for a WebSocket: by `Upgrade: websocket` (RFC 6455 section 4.1), or by an extended CONNECT of
 * HTTP/2 (RFC 8441 section 4). Not whether it became one: that is `exchange.webSocket`.
 */
export function isWebSocketHandshake({ request, http2 }: Pick<Exchange, 'request' | 'http2'>): boolean {
  if (http2) return http2.protocol === 'websocket'
  return request.method === 'GET' && hasToken(request.header('upgrade') ?? '', 'websocket')
}

/** Whether a list of a field has a token, in any case. */
export function hasToken(value: string, token: string): boolean {
  return value.split(',').some((each) => each.trim().toLowerCase() === token)
}

/** The URL of a request, as one of a WebSocket: `wss://chat.test/live`. */
export function webSocketUrl(url: string): string {
  return url.replace(/^http/i, 'ws')
}
