/** The server that an HTTP/1 session is connected to at the moment, and the reading of it. */
import type { Connection } from '../../connection.ts'
import { Pump } from '../../internal/pump.ts'
import type { PumpHandlers } from '../../internal/pump.ts'
import { isSameDestination } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'

/** The server that a session is connected to, one at a time. */
export class ServerLink {
  /** Where the open server is for; undefined while there is none. */
  destination: Destination | undefined
  /** The address that is really connected to. */
  address = ''
  /** Whether the server has sent its FIN, or is gone. */
  hasEnded = false
  pump: Pump | undefined

  /** Whether a server is open, and it is this one. */
  leadsTo(destination: Destination | undefined): boolean {
    return this.destination !== undefined && isSameDestination(this.destination, destination)
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
  }
}
