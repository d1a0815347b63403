/**
 * Browsers that are known to trust the certificates of a mitm. They open connections that they may not need, and leave them in
 * the midst of a handshake: that says nothing of trust, then.
 */
import type { LiveConnection } from './live-connection.ts'

/** A client has spoken behind a handshake: it trusts what it was shown. Programs may each trust something else. */
export function noteTrust({ connection, context }: LiveConnection): void {
  if (connection.isGreased) context.trustingDoors.add(context.listening.port)
}

/** Whether this client is such a browser. */
export function isTrusting({ connection, context }: LiveConnection): boolean {
  return connection.isGreased && context.trustingDoors.has(context.listening.port)
}
