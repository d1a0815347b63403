import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'
import { resetPeer } from './reset-peer.ts'
import { unreachable } from './unreachable.ts'

/** Servers cannot be reached; what is asked over a connection that there is all the same breaks off. */
export function offline(...none: readonly never[]): Fault {
  refuseOptions('offline', none)
  return { name: 'offline', text: 'offline', parts: [...unreachable().parts, ...resetPeer().parts] }
}
