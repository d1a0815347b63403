/** The server that an HTTP/1 session is connected to at the moment, and the reading of it. */
import type { Connection } from '../../connection.ts'
import { Pump } from '../../internal/pump.ts'
import type { PumpHandlers } from '../../internal/pump.ts'
import { isSameDestination } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'
import { alertOf, TLS_ALERTS } from '../../tls-alert.ts'
import { Http2Gateway } from '../http2/gateway.ts'

/** The server that a session is connected to, one at a time. */
export class ServerLink {
  /** Where the open server is for; undefined while there is none. */
  destination: Destination | undefined
  /** The address that is really connected to. */
  address = ''
  /** Whether the server has sent its FIN, or is gone. */
  hasEnded = false
  pump: Pump | undefined
  /** What is in place of a server that speaks HTTP/2 alone. */
  #gateway: Http2Gateway | undefined

  /** Whether a server is open, and it is this one. */
  leadsTo(destination: Destination | undefined): boolean {
    return this.destination !== undefined && isSameDestination(this.destination, destination)
  }

  /**
   * Connects a server. One that speaks HTTP/2 alone is spoken to through a gateway.
   *
   * @throws {@link MitmError} as `connection.open`.
   */
  async open(connection: Connection, destination: Destination, bufferSize: number): Promise<void> {
    try {
      await connection.open(destination)
    } catch (error) {
      if (alertOf(error) !== TLS_ALERTS.no_application_protocol) throw error
      await this.#openGateway(connection, destination, bufferSize, error)
    }
  }

  /** @param refusal - What the server refused HTTP/1.1 with. */
  async #openGateway(
    connection: Connection,
    destination: Destination,
    bufferSize: number,
    refusal: unknown,
  ): Promise<void> {
    const { flow } = connection
    await flow.closeServer()
    const other = await flow.openAnother(destination, ['h2'])
    if (other.alpn !== 'h2') {
      other.close()
      throw refusal
    }
    const { maxHeadBytes } = flow.settings
    this.#gateway = new Http2Gateway({ server: other, destination, bufferSize, maxHeadBytes })
    connection.server.attach(this.#gateway, this.#gateway)
    connection.server.ip = other.host.ip
    connection.server.port = other.host.port
  }

  /** Begins to read the server that the connection has opened. */
  attach(connection: Connection, destination: Destination, handlers: PumpHandlers, bufferSize: number): void {
    const { reader } = connection.server
    if (!reader) return
    this.destination = destination
    this.address = connection.server.toString()
    this.hasEnded = false
    this.pump = new Pump(reader, handlers, bufferSize)
    this.pump.start()
  }

  /** Forgets the server, which the connection lets go. */
  drop(): void {
    this.pump?.stop()
    this.pump = undefined
    this.destination = undefined
    this.#gateway?.destroy()
    this.#gateway = undefined
  }
}
