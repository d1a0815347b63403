/**
 * The faults by name: what `rule.fault(…)` takes. One file each. Every function checks its options at once
 * (`MITM_INVALID_FAULT`) and returns a plain value.
 */
export { resetPeer } from './reset-peer.ts'
export type { ResetPeerOptions } from './reset-peer.ts'
