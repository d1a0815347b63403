/** What faults that pace octets have in common. */
import type { Side } from '../errors.ts'
import type { Fault, Pace, PacePart } from '../fault.ts'

/** Makes a fault of one pace. `text` is what it does, without its side. */
export function paceFault(
  name: string,
  text: string,
  side: Side,
  scope: PacePart['scope'],
  open: (random: () => number) => Pace,
): Fault {
  return { name, text: `${name} ${text} towards the ${side}`, parts: [{ stage: 'pace', side, scope, open }] }
}
