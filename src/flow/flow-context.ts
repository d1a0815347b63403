/** What all connections of a mitm share. */
import type { Connection } from '../connection.ts'
import type { MitmError } from '../errors.ts'
import type { ResolvedOptions, ServerFlaws } from '../options.ts'
import type { Protocol } from '../protocol.ts'
import type { SecureContext } from 'node:tls'
import type { ClientIdentities } from '../tls/client-certificates.ts'
import type { TlsSelection } from '../tls-selection.ts'
import type { Pipeline } from './pipeline.ts'
import type { Resends } from './resends.ts'

/** Makes the contexts with which clients are answered in TLS. */
export interface Certificates {
  contextFor(hostname: string): Promise<SecureContext>
  untrustedContextFor(hostname: string, reason: string): Promise<SecureContext>
  faultyContextFor?(hostname: string, flaws: ServerFlaws): Promise<SecureContext>
}

/** What all connections of a mitm share. */
export interface FlowContext {
  /** The mitm itself, to be told from others. */
  readonly mitm: object
  readonly options: ResolvedOptions
  readonly pipeline: Pipeline
  readonly protocols: readonly Protocol[]
  readonly listening: { readonly host: string; readonly port: number }
  /** What servers are shown when they ask for a certificate. */
  readonly clientCertificates: ClientIdentities
  /** What servers chose by ALPN the last time, by authority. */
  readonly chosenAlpn: Map<string, string>
  /** The doors, by port, at which a browser has shown that it trusts the certificates of this mitm. */
  readonly trustingDoors: Set<number>
  /** What browsers are about to send again by themselves. */
  readonly resends: Resends
  /** Which TLS is opened, and which is only relayed. */
  readonly tlsSelection: TlsSelection
  /** Takes the secrets of all handshakes, if anybody wants them. */
  readonly onKeyLog: ((line: Buffer) => void) | undefined
  certificates(): Promise<Certificates>
  report(error: MitmError, connection?: Connection): void
}
