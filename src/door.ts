/** A further port of a mitm, for clients that are to be served in another way. */
import type { ClientCertificate } from './upstream-options.ts'

/** In which way those are served who come by a {@link Door}. */
export interface DoorOptions {
  /**
   * Certificates that servers are shown on behalf of these clients. Those of `upstream.clientCertificates` are for servers
   * that none of these is for.
   *
   * @defaultValue `[]`
   */
  clientCertificates?: readonly ClientCertificate[] | undefined
}

/** A further port of a mitm: what comes by it has the same rules, records and limits. Closed with the mitm. */
export interface Door extends Disposable {
  readonly port: number
  /** As the `url` of the mitm. */
  readonly url: string
  /** Accepts nothing more; what has come by it goes on. May be called again. */
  close(): void
}
