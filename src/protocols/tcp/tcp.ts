/** Whatever no other protocol took, inside a tunnel: octets, relayed both ways. The server may speak first. */
import type { Connection } from '../../connection.ts'
import { InvalidProtocol } from '../../errors.ts'
import { Protocol } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'

/** Relays octets to where an outer layer (CONNECT, SOCKS) said. */
export class Tcp extends Protocol {
  /** The first octets of each connection that is about to be relayed. */
  readonly #first = new WeakMap<Connection, Buffer>()

  override get name(): string {
    return 'tcp'
  }

  /** @throws {@link InvalidProtocol} outside of tunnels, where nobody has said where to connect. */
  resolve(connection: Connection): Destination {
    if (!connection.destination) throw new InvalidProtocol('No outer layer has named a destination')
    return connection.destination
  }

  /** @throws {@link MitmError} as `connection.open`, and what a middleware refuses the connection with. */
  override async connect(connection: Connection, destination: Destination, data: Buffer): Promise<void> {
    const refusal = connection.flow.interceptConnection({ stage: 'relay', destination })?.refuse
    if (refusal) throw refusal
    await connection.open(destination)
    this.#first.set(connection, data)
  }

  override handle(connection: Connection): Promise<void> {
    connection.layers.push('tcp')
    const first = this.#first.get(connection)
    this.#first.delete(connection)
    return connection.relay(first)
  }
}
