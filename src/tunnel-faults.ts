/** What goes wrong on purpose when a client asks for a tunnel, by CONNECT or SOCKS, and before the server is dialled. */
import type { Connection } from './connection.ts'
import { dialFaultError } from './fault-errors.ts'
import type { DialPart, Fault, FaultFeed, TunnelPart } from './fault.ts'
import { holdOpen, waitFor } from './fault-waits.ts'
import type { Destination } from './protocol.ts'

type Reply = TunnelPart['reply']

/** What a client is answered on purpose, in the words of its protocol; then its connection is closed. */
export type TunnelReply = Extract<Reply, { kind: 'status' | 'socks' | 'octets' }>

/**
 * Lets the faults act that the middlewares want for a tunnel: those of the stages `dial` and `tunnel`. First the delays,
 * one after the other; then the first other one, and if that is removed meanwhile, the next.
 *
 * Once the connection is over by a fault, `connection.endReason` says so, and the protocol has nothing more to do.
 *
 * @returns What the client is to be answered, `'over'` when there is nothing to say, undefined when all goes on as ever.
 * @throws {@link MitmError} what dialling would have failed with, or what a middleware refuses the tunnel with.
 */
export async function injectTunnelFaults(
  connection: Connection,
  destination: Destination,
): Promise<TunnelReply | 'over' | undefined> {
  const wanted = connection.flow.interceptConnection({ stage: 'tunnel', destination })
  if (wanted?.refuse) throw wanted.refuse
  if (!wanted?.faults) return undefined
  const feed = wanted.faults
  const parts = tunnelParts(feed)
  for (const { part, fault } of parts) {
    if (part.stage !== 'tunnel' || part.reply.kind !== 'delay') continue
    connection.flow.noteFault(fault)
    const { ms } = part.reply
    await connection.flow.whileClientWaits(() => waitFor(ms, { connection, feed, fault }))
  }
  for (const { part, fault } of parts) {
    if (!feed.faults.some((injected) => injected.fault === fault)) continue
    if (part.stage === 'dial') {
      connection.flow.noteFault(fault)
      const hasPassed = await connection.flow.whileClientWaits(() => waitFor(part.afterMs, { connection, feed, fault }))
      if (hasPassed) throw dialFaultError(part, fault, destination)
    } else if (part.reply.kind !== 'delay') {
      connection.flow.noteFault(fault)
      const outcome = await reply(part.reply, { connection, feed, fault })
      if (outcome !== 'on') return outcome
    }
  }
  return undefined
}

/** @returns `'on'` when the fault was removed before it had done anything. */
async function reply(
  how: Exclude<Reply, { kind: 'delay' }>,
  acting: { readonly connection: Connection; readonly feed: FaultFeed; readonly fault: Fault },
): Promise<TunnelReply | 'over' | 'on'> {
  const { connection } = acting
  switch (how.kind) {
    case 'stall':
      return (await holdOpen(acting)) ? 'on' : 'over'
    case 'reset':
      connection.end('fault')
      connection.reset('client')
      return 'over'
    case 'close':
      connection.end('fault')
      return 'over'
    case 'status':
    case 'socks':
    case 'octets':
      connection.end('fault')
      return how
  }
}

function tunnelParts(feed: FaultFeed): { readonly part: DialPart | TunnelPart; readonly fault: Fault }[] {
  return feed.faults.flatMap(({ fault }) =>
    fault.parts
      .filter((part): part is DialPart | TunnelPart => part.stage === 'dial' || part.stage === 'tunnel')
      .map((part) => ({ part, fault })),
  )
}
