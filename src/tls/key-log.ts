/** A file with the secrets of TLS handshakes, in the NSS key log format, which Wireshark reads. */
import { closeSync, constants, openSync, writeSync } from 'node:fs'

import { errorText, MitmError, systemCode } from '../errors.ts'

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants
/** Who reads it can decrypt what passed: only the user who runs this. */
const MODE = 0o600

/** An open key log. Whoever opens it closes it. */
export class KeyLog {
  readonly #path: string
  readonly #report: (error: MitmError) => void
  #file: number | undefined

  /**
   * Opens the file for appending, and makes it if there is none (readable by this user only).
   *
   * @param path - Relative to the working directory. Its folder must be there.
   * @param report - Is told once if it cannot be written to later; traffic goes on.
   * @throws {@link MitmError} `MITM_INVALID_OPTION` when it cannot be opened.
   */
  constructor(path: string, report: (error: MitmError) => void) {
    this.#path = path
    this.#report = report
    try {
      // Not blocking: a pipe that nobody reads would hold this process up for ever.
      this.#file = openSync(path, O_APPEND | O_CREAT | O_WRONLY | (O_NONBLOCK ?? 0), MODE)
    } catch (error) {
      const why = systemCode(error) ?? errorText(error)
      const text = `Cannot use option "keyLogFile": ${why} for ${JSON.stringify(path)}, expected a file that can be written to, in a folder that is there`
      throw new MitmError('MITM_INVALID_OPTION', text, { cause: error })
    }
  }

  /** Appends a line, which ends in a line feed already. At once: a program that reads the file meanwhile has the secrets in time. */
  readonly write = (line: Buffer): void => {
    if (this.#file === undefined) return
    try {
      writeSync(this.#file, line)
    } catch (error) {
      this.close()
      const why = systemCode(error) ?? errorText(error)
      const text = `Cannot write to the key log ${JSON.stringify(this.#path)}: ${why}; nothing more is written to it`
      this.#report(new MitmError('MITM_INVALID_OPTION', text, { cause: error }))
    }
  }

  /** Closes the file. May be called again. */
  close(): void {
    if (this.#file === undefined) return
    closeSync(this.#file)
    this.#file = undefined
  }
}
