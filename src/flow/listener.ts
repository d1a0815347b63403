/** A port on which a mitm accepts. */
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

import { errorText, MitmError, systemCode } from '../errors.ts'
import { noteListener } from './trail.ts'

/** How a port is opened. */
export interface ListenerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Whose port it is. */
  readonly mitm: object
  /** Takes each socket that is accepted. */
  readonly accept: (socket: Socket, listener: Listener) => void
  /** Told of what goes wrong later. */
  readonly report: (error: MitmError) => void
}

/** A port that is open. */
export class Listener {
  readonly host: string
  readonly port: number
  readonly #server: Server
  readonly #forget: () => void

  private constructor(server: Server, { host, mitm }: ListenerOptions) {
    // Boundary: a server that listens on a port has an address with one.
    const address = server.address() as AddressInfo
    this.host = host
    this.port = address.port
    this.#server = server
    this.#forget = noteListener(mitm, address)
  }

  /** @throws {@link MitmError} `MITM_LISTEN_FAILED` when the address is taken or cannot be had. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const { host, port, accept, report } = options
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        const why = systemCode(error) === 'EADDRINUSE' ? 'the port is taken; 0 takes a free one' : errorText(error)
        reject(new MitmError('MITM_LISTEN_FAILED', `Cannot listen on ${host}:${port}: ${why}`, { cause: error }))
      })
      server.listen({ host, port }, resolve)
    })
    const listener = new Listener(server, options)
    server.on('connection', (socket) => accept(socket, listener))
    server.on('error', (error) => {
      report(new MitmError('MITM_LISTEN_FAILED', `Cannot accept on ${host}: ${errorText(error)}`, { cause: error }))
    })
    return listener
  }

  /** `http://127.0.0.1:PORT`. */
  get url(): string {
    return `http://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`
  }

  /** Accepts nothing more. What was accepted is left alone. */
  close(): void {
    // Not awaited: a listening server waits for every socket, also for those that were handed over.
    this.#server.close()
    this.#forget()
  }
}
