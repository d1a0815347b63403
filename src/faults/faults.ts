/**
 * The faults by name: what `rule.fault(…)` takes. One file each. Every function checks its options at once
 * (`MITM_INVALID_FAULT`) and returns a plain value.
 */
export { resetPeer } from './reset-peer.ts'
export type { ResetPeerOptions } from './reset-peer.ts'
export { dialTimeout } from './dial-timeout.ts'
export type { DialTimeoutOptions } from './dial-timeout.ts'
export { dnsFailure } from './dns-failure.ts'
export { refuseConnection } from './refuse-connection.ts'
export { unreachable } from './unreachable.ts'
