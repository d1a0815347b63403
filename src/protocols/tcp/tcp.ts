/** Whatever no other protocol took, inside a tunnel: octets, relayed both ways. The server may speak first. */
import type { Connection } from '../../connection.ts'
import { InvalidProtocol } from '../../errors.ts'
import { Protocol } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'

/** Relays octets to where an outer layer (CONNECT, SOCKS) said. */
export class Tcp extends Protocol {
  override get name(): string {
    return 'tcp'
  }

  /** @throws {@link InvalidProtocol} outside of tunnels, where nobody has said where to connect. */
  resolve(connection: Connection): Destination {
    if (!connection.destination) throw new InvalidProtocol('No outer layer has named a destination')
    return connection.destination
  }

  /** @throws {@link MitmError} what a middleware refuses the connection with, as `Protocol.connect` otherwise. */
  override async connect(connection: Connection, destination: Destination, data: Buffer): Promise<void> {
    const refusal = connection.flow.interceptConnection({ stage: 'relay', destination })?.refuse
    if (refusal) throw refusal
    await super.connect(connection, destination, data)
  }

  override handle(connection: Connection): Promise<void> {
    connection.layers.push('tcp')
    return connection.relay()
  }
}
