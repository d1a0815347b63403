/** Who made an exchange: told by the door that it came in by. */
import type { Connection } from './connection.ts'

/**
 * `page`: a browser, with its workers (by SOCKS5, as the fixtures set it up). `request`: Playwright's `request` (by the same
 * door, but its header fields are Node's). `node`: the test itself, by `mitm.fetch`. `server`: everything else, such as the
 * application's server by HTTP proxying (`mitm.env()`). `handler`: a handler of MSW that asks the real server.
 */
export type TrafficSource = 'page' | 'request' | 'server' | 'node' | 'handler'

/** All of them. */
export const TRAFFIC_SOURCES: readonly TrafficSource[] = ['page', 'request', 'server', 'node', 'handler']

/** The field of a CONNECT request by which `mitm.fetch` says who it is. It ends at the mitm, as CONNECT does. */
export const TEST_FIELD = 'x-playwright-mitm-test'

/** What that field says of the requests of handlers. */
export const BY_HANDLER = 'handler'

/** Whether a client does a TLS handshake that broke once more by itself: Chromium does. */
export function triesHandshakesTwice(connection: Connection): boolean {
  return isByBrowserDoor(connection) && connection.isGreased
}

/** Whether a connection came by the door that browsers take; `request` takes it as well. */
export function isByBrowserDoor(connection: Connection): boolean {
  // The layer is there once the tunnel stands, the protocol while it is being made.
  return isSocks(connection.protocol?.name ?? '') || connection.layers.some(isSocks)
}

/**
 * Whether the fields of a request are as Playwright's `request` writes them: its own in lower case, and `Host` behind them,
 * where Node puts it. Browsers begin with `Host`; of theirs some are in lower case when the test has set them
 * (`route.continue({ headers })`).
 */
export function isWrittenByNode(fields: readonly (readonly [name: string, value: string])[]): boolean {
  return fields[0]?.[0].toLowerCase() !== 'host' && fields.some(([name]) => name === 'user-agent')
}

/** Who may have made what comes by a connection, as far as that is known before there is a request. */
export function possibleSources(connection: Connection): readonly TrafficSource[] {
  if (connection.isFromTest) return ['node']
  if (connection.isFromHandler) return ['handler']
  return isByBrowserDoor(connection) ? ['page', 'request'] : ['server']
}

function isSocks(name: string): boolean {
  return name.startsWith('socks')
}
