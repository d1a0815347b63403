/** Servers that are programs of their own, where the machine has them, and a way for their clients through a mitm. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream'

import { withDeadline } from './deadline.ts'
import type { Identity } from './identity.ts'
import { closedPort } from './servers.ts'
import type { Wire } from './wire.ts'

const START_MS = 30_000

/** A program that listens on a port of the loopback interface; `await using` ends it. */
export interface ProgramServer extends AsyncDisposable {
  readonly port: number
}

/** Whether a program can be run. */
export function hasProgram(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0
}

/** The folder of PostgreSQL's server, where it is installed: Debian keeps it out of the way. */
export function postgresFolder(): string | undefined {
  const root = '/usr/lib/postgresql'
  try {
    const versions = readdirSync(root).toSorted((one, other) => Number(other) - Number(one))
    return versions.map((version) => join(root, version, 'bin')).find((folder) => hasProgram(join(folder, 'initdb')))
  } catch {
    return undefined
  }
}

/** Starts PostgreSQL with an empty cluster; anybody may log in as `postgres`. It speaks TLS as well. */
export async function startPostgres(folder: string, identity: Identity): Promise<ProgramServer> {
  const home = mkdtempSync(join(tmpdir(), 'postgres-'))
  const data = join(home, 'data')
  // It refuses to be run by root.
  const user = process.getuid?.() === 0 ? userIds('postgres') : undefined
  const options: SpawnOptions = user ? { ...user, cwd: home } : { cwd: home }
  const files = { key: join(home, 'key.pem'), cert: join(home, 'cert.pem') }
  writeFileSync(files.key, identity.key, { mode: 0o600 })
  writeFileSync(files.cert, identity.cert)
  if (user) for (const path of [home, files.key, files.cert]) chownSync(path, user.uid, user.gid)
  execFileSync(join(folder, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-sync'], {
    ...options,
    stdio: 'pipe',
  })
  const port = await closedPort()
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    ssl: 'on',
    ssl_key_file: files.key,
    ssl_cert_file: files.cert,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(join(folder, 'postgres'), ['-D', data, '-p', String(port), ...args], options)
  return started(child, { port, home, ready: 'ready to accept connections', signal: 'SIGQUIT' })
}

/** Starts Redis, which keeps nothing. @param identity - For TLS on `tlsPort`. */
export async function startRedis(identity: Identity): Promise<ProgramServer & { readonly tlsPort: number }> {
  const home = mkdtempSync(join(tmpdir(), 'redis-'))
  writeFileSync(join(home, 'key.pem'), identity.key)
  writeFileSync(join(home, 'cert.pem'), identity.cert)
  const port = await closedPort()
  const tlsPort = await closedPort()
  const settings = {
    port: String(port),
    'tls-port': String(tlsPort),
    'tls-key-file': 'key.pem',
    'tls-cert-file': 'cert.pem',
    'tls-ca-cert-file': 'cert.pem',
    'tls-auth-clients': 'no',
    bind: '127.0.0.1',
    save: '',
    dir: home,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn('redis-server', args, { cwd: home })
  const server = await started(child, { port, home, ready: 'Ready to accept connections', signal: 'SIGTERM' })
  return { ...server, tlsPort }
}

interface Starting {
  readonly port: number
  /** Removed at the end. */
  readonly home: string
  /** What it writes when it listens. */
  readonly ready: string
  /** What ends it at once. */
  readonly signal: NodeJS.Signals
}

async function started(child: ChildProcess, { port, home, ready, signal }: Starting): Promise<ProgramServer> {
  let said = ''
  const gone = once(child, 'exit')
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) {
      child.kill(signal)
      await gone
    }
    rmSync(home, { recursive: true, force: true })
  }
  const listens = new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said += String(chunk)
      if (said.includes(ready)) resolve()
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`It ended: ${said}`)))
  })
  try {
    await withDeadline(listens, START_MS, () => new Error(`It does not listen: ${said}`))
  } catch (error) {
    await stop()
    throw error
  }
  return { port, [Symbol.asyncDispose]: stop }
}

function userIds(name: string): { readonly uid: number; readonly gid: number } {
  const id = (option: string): number => Number(execFileSync('id', [option, name]))
  return { uid: id('-u'), gid: id('-g') }
}

/**
 * Listens for clients that know no proxy, and opens a tunnel for each.
 *
 * @param open - Opens one.
 */
export async function forwarder(open: () => Promise<Wire>): Promise<ProgramServer> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
    sockets.add(client)
    client.on('error', () => undefined).once('close', () => sockets.delete(client))
    // Reports its own failure, by a reset.
    void forward(client, open)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    // Boundary: a server on a port has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function forward(client: Socket, open: () => Promise<Wire>): Promise<void> {
  try {
    const wire = await open()
    const { socket } = wire
    socket.removeAllListeners('data').pause()
    if (wire.buffered.length > 0) socket.unshift(wire.buffered)
    pipeline(client, socket, () => undefined)
    pipeline(socket, client, () => undefined)
  } catch {
    client.resetAndDestroy()
  }
}
