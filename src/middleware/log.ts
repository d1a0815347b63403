/** Writes a line for everything that happens to a connection. */
import type { Connection } from '../connection.ts'
import type { Middleware } from '../middleware.ts'
import { addressText } from './connection-record.ts'

/** The options of {@link log} and {@link httpLog}. */
export interface LogOptions {
  /**
   * Takes each line, without a line feed.
   *
   * @defaultValue `console.error`: standard output may belong to a reporter or to the program's own result
   */
  write?: ((line: string) => void) | undefined
}

/**
 * Makes a middleware that writes a line for each event of a connection, and for each chunk of data its size:
 *
 * ```text
 * 127.0.0.1:5000 connected
 * 127.0.0.1:5000 -> 10.0.0.1:443 connected (tls)
 * 127.0.0.1:5000 -> 10.0.0.1:443 512 bytes
 * 127.0.0.1:5000 <- 10.0.0.1:443 1024 bytes
 * 127.0.0.1:5000 -> 10.0.0.1:443 ended (client-closed)
 * ```
 *
 * Data passes unchanged. Sizes are of decrypted octets.
 *
 * @example
 * ```ts
 * import { log, Mitm } from 'playwright-mitm/core'
 *
 * const mitm = new Mitm({ middlewares: [log({ write: (line) => process.stdout.write(`${line}\n`) })] })
 * ```
 */
export function log(options: LogOptions = {}): Middleware {
  const write = lineWriter(options)
  return {
    name: 'log',
    mitmStarted(host, port) {
      write(`listening on ${addressText({ ip: host, port })}`)
    },
    clientConnected({ client }) {
      write(`${addressText(client)} connected`)
    },
    serverConnected(connection) {
      const isPassthrough = connection.layers.includes('tls-passthrough')
      const secured = isPassthrough ? ' (tls, passed through)' : connection.serverTls ? ' (tls)' : ''
      write(`${pair(connection, '->')} connected${secured}`)
    },
    clientData(connection, data) {
      write(`${pair(connection, '->')} ${bytesText(data.length)}`)
      return data
    },
    serverData(connection, data) {
      write(`${pair(connection, '<-')} ${bytesText(data.length)}`)
      return data
    },
    serverDisconnected({ server }) {
      write(`${addressText(server)} disconnected`)
    },
    clientDisconnected({ client }) {
      write(`${addressText(client)} disconnected`)
    },
    connectionEnded(connection) {
      write(`${pair(connection, '->')} ended (${connection.endReason ?? 'no reason known'})`)
      for (const error of connection.errors) write(`${pair(connection, '->')} ${error.message}`)
    },
  }
}

/**
 * What a log writes its lines with: `write` of its options, kept from throwing into the traffic.
 *
 * @internal
 */
export function lineWriter(options: LogOptions): (line: string) => void {
  // Looked up at each line, so that a test runner that replaces the console gets the lines too.
  const write = options.write ?? ((line: string) => console.error(line))
  return (line) => {
    try {
      write(line)
    } catch {
      // A log that cannot be written must not break what it observes: from a data hook the connection would be closed.
    }
  }
}

/** `client -> server`, with the addresses also of hosts that are gone. @internal */
export function pair({ client, server }: Connection, arrow: '->' | '<-'): string {
  return `${addressText(client)} ${arrow} ${addressText(server)}`
}

/** `1 byte`, `512 bytes`. @internal */
export function bytesText(count: number): string {
  return `${count} ${count === 1 ? 'byte' : 'bytes'}`
}
