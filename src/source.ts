/** Who made an exchange: told by the door that it came in by. */
import type { Connection } from './connection.ts'

/**
 * `page`: a browser, with its workers (by SOCKS5, as the fixtures set it up). `request`: Playwright's `request` (by the same
 * door, but its header fields are Node's). `node`: the test itself, by `mitm.fetch`. `server`: everything else, such as the
 * application's server by HTTP proxying (`mitm.env()`).
 */
export type TrafficSource = 'page' | 'request' | 'server' | 'node'

/** All of them. */
export const TRAFFIC_SOURCES: readonly TrafficSource[] = ['page', 'request', 'server', 'node']

/** Whether a connection came by the door that browsers take; `request` takes it as well. */
export function isByBrowserDoor(connection: Connection): boolean {
  return connection.layers.some((layer) => layer.startsWith('socks'))
}
