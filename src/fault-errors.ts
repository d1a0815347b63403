/** The errors of what goes wrong on purpose. They are told to clients, and to nobody else: `faults` says who acted. */
import { MitmError } from './errors.ts'
import type { ErrorCode, MitmErrorDetails } from './errors.ts'
import type { DialPart, Fault } from './fault.ts'
import { authorityOf } from './protocol.ts'
import type { Destination } from './protocol.ts'

/**
 * An error that a fault makes on purpose. Code, text and cause are those of a failure that happens by itself, so that the
 * client hears the same; it is in no list of errors, and not handed to `onError`.
 */
export class InjectedError extends MitmError {
  /** The fault that made it. */
  readonly fault: Fault

  constructor(code: ErrorCode, message: string, { fault, ...details }: MitmErrorDetails & { readonly fault: Fault }) {
    super(code, `${message} (fault ${fault.name})`, details)
    this.fault = fault
  }
}

/**
 * The error for a server that cannot be reached on purpose: what dialling it would have failed with.
 *
 * @param part - Which failure. That it comes late (`afterMs`) is the caller's to see to.
 * @param fault - Of which it is a part.
 * @param destination - Where the client wants to go.
 */
export function dialFaultError(part: DialPart, fault: Fault, destination: Destination): InjectedError {
  const authority = authorityOf(destination)
  const cause = Object.assign(new Error(`${part.reason} ${authority}`), { code: part.reason })
  return new InjectedError(part.code, dialText(part, authority, destination.host), {
    side: 'server',
    authority,
    cause,
    fault,
  })
}

/** The same texts as those of `flow/dial.ts`. */
function dialText({ code, reason, afterMs }: DialPart, authority: string, host: string): string {
  if (code === 'MITM_DNS_FAILED') return `Cannot resolve ${JSON.stringify(host)} for ${authority}: ${reason}`
  if (code === 'MITM_DIAL_TIMEOUT' && afterMs > 0) {
    return `Cannot connect to ${authority}: no answer from ${authority} in ${afterMs} ms`
  }
  return `Cannot connect to ${authority}: ${reason} at ${authority}`
}
