/** Which TLS is opened, and which is only relayed: the options `intercept` and `passthrough`. */
import { parseHostPattern } from './internal/host-pattern.ts'
import type { HostPattern } from './internal/host-pattern.ts'

/** The patterns of both options; each of them must be one. */
export interface TlsPatterns {
  readonly intercept: readonly string[]
  readonly passthrough: readonly string[]
}

/** Decides which TLS is opened. */
export class TlsSelection {
  readonly #intercept: readonly HostPattern[]
  readonly #passthrough: readonly HostPattern[]

  constructor({ intercept, passthrough }: TlsPatterns) {
    this.#intercept = compile(intercept)
    this.#passthrough = compile(passthrough)
  }

  /** Whether all TLS is opened, whatever it is for. */
  get opensAll(): boolean {
    return this.#passthrough.length === 0 && this.#intercept.some(({ isForAll }) => isForAll)
  }

  /**
   * Whether TLS is relayed as it is. One name that `passthrough` means is enough for that; else one that `intercept` means
   * is enough to open it.
   *
   * @param names - What the client calls the server: by SNI, and when it asked for the tunnel.
   * @param port - `undefined` asks about every port: whether it is so on each.
   */
  passesThrough(names: readonly string[], port: number | undefined): boolean {
    const bare = names.map((name) => name.toLowerCase().replace(/\.$/, ''))
    const means = (pattern: HostPattern): boolean => bare.some((name) => pattern.matches(name, port))
    if (this.#passthrough.some(means)) return true
    // For every port it is so only where no port is opened.
    const mayMean = (pattern: HostPattern): boolean => bare.some((name) => pattern.matches(name, port ?? pattern.port))
    return !this.#intercept.some(mayMean)
  }
}

function compile(texts: readonly string[]): readonly HostPattern[] {
  // Options are checked before: see `isHostPattern`.
  return texts.map(parseHostPattern).filter((pattern) => pattern !== undefined)
}
