/** The first message of a TLS client, as octets. */
import { connectTo, secureWire } from './clients.ts'
import { wireServer } from './servers.ts'

/** Has Node write one. */
export async function helloFor(servername: string): Promise<Buffer> {
  await using server = await wireServer()
  const wire = await connectTo(server)
  const handshake = secureWire(wire, { servername }).catch(() => undefined)
  const taken = await server.next()
  const head = await taken.take(5)
  const hello = Buffer.concat([head, await taken.take(head.readUInt16BE(3))])
  taken.reset()
  await handshake
  return hello
}
