/** What the handshake of a page says to the real server as well. */
import type { Exchange, Field } from '../exchange.ts'

/** Fields that belong to the connection of the page, or that the handshake with the server makes anew (RFC 6455 section 4.1). */
const OWN_FIELD =
  /^(?:host|connection|upgrade|keep-alive|proxy-connection|content-length|transfer-encoding|sec-websocket-.*)$/i

/** The subprotocols that a page offers. */
export function offeredProtocols({ request }: Exchange): string[] {
  return (request.header('sec-websocket-protocol') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** The fields of a handshake by which a server knows whose it is: cookies, origin, and so on. */
export function offeredFields({ request }: Exchange): readonly Field[] {
  return request.fields.filter(([name]) => !name.startsWith(':') && !OWN_FIELD.test(name))
}
