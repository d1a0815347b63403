/** The real servers for handlers of MSW: reached through the mitm itself, which lets what they send pass untouched. */
import type { ProxyAgent } from 'undici'

import type { RealServers, RealSocket, RealSocketOptions } from './msw/real-servers.ts'
import { BY_HANDLER } from './source.ts'
import { makeTestAgent } from './test-agent.ts'
import { openTunnelledSocket } from './tunnelled-socket.ts'
import type { MitmDoor } from './tunnelled-socket.ts'

/** Fields that belong to a connection, or that `fetch` writes itself. */
const OWN_FIELD =
  /^(?:host|connection|keep-alive|proxy-.*|transfer-encoding|upgrade|te|trailer|expect|content-length|accept-encoding)$/
/** By which the mitm tells that a response is its own, since it could not reach the server. */
const ERROR_FIELD = 'x-playwright-mitm-error'

/** The real servers, by way of a mitm. */
export class HandlerServers implements RealServers {
  readonly #door: () => Promise<MitmDoor>
  #agent: Promise<ProxyAgent> | undefined

  /** @param door - Of the mitm, once it listens. */
  constructor(door: () => Promise<MitmDoor>) {
    this.#door = door
  }

  async fetch(request: Request): Promise<Response> {
    this.#agent ??= this.#makeAgent()
    const dispatcher = await this.#agent
    const headers = new Headers([...request.headers].filter(([name]) => !OWN_FIELD.test(name)))
    // A boundary: Node's own `fetch` takes a dispatcher of another undici than its own, and its types do not tell.
    const init = { headers, dispatcher } as unknown as RequestInit
    const response = await globalThis.fetch(request, init)
    const code = response.headers.get(ERROR_FIELD)
    if (code === null) return decoded(response)
    throw new TypeError('fetch failed', { cause: new Error((await response.text()).trim()) })
  }

  openWebSocket(url: string, options: RealSocketOptions): RealSocket {
    return openTunnelledSocket(url, options, this.#door)
  }

  /** Ends its connections. */
  async close(): Promise<void> {
    const agent = this.#agent
    this.#agent = undefined
    await agent?.then((made) => made.destroy()).catch(() => undefined)
  }

  async #makeAgent(): Promise<ProxyAgent> {
    const { url, certificates } = await this.#door()
    const { agent } = await makeTestAgent(url, certificates, BY_HANDLER)
    return agent
  }
}

/** A response that says no more in which coding it came: whoever copies its fields would say it of what was decoded. */
function decoded(response: Response): Response {
  if (!response.headers.has('content-encoding')) return response
  const headers = new Headers(response.headers)
  headers.delete('content-encoding')
  headers.delete('content-length')
  const { status, statusText, body, url, redirected } = response
  const made = new Response(body, { status, statusText, headers })
  return Object.defineProperties(made, { url: { value: url }, redirected: { value: redirected } })
}
