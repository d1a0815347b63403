/** The clients, as a process. Every response is checked; one that is missing or wrong fails the bench. */
import { createSecureContext } from 'node:tls'
import type { SecureContext, TLSSocket } from 'node:tls'

import { download, upload } from './bulk.ts'
import { Http2Load } from './http2-load.ts'
import { answer } from './child.ts'
import { http1Client, http2Client } from './chunks.ts'
import type { ChunkClient, Lateness } from './chunks.ts'
import {
  BULK_HOST,
  HTTP2_HOST,
  SMALL_HOST,
  SMALL_RESPONSE,
  smallRequest,
  SOCKET_ECHO,
  SOCKET_HOST,
  SOCKET_MESSAGE,
  SOCKET_REQUEST,
  SOCKET_RESPONSE,
} from './messages.ts'
import { openTunnel, repeat } from './tunnel.ts'

export type LoadCalls = {
  trust: { input: string; output: null }
  /** Opens keep-alive connections through the proxy on this port. */
  open: { input: { port: number; connections: number }; output: null }
  /** Sends so many requests on each of them; returns how many responses came. */
  run: { input: { port: number; perConnection: number }; output: number }
  /** Closes them. */
  close: { input: number; output: null }
  /** The milliseconds of the first request to a host, from the TCP connection on. */
  first: { input: { port: number; host: string }; output: number }
  /** Moves a large body; the milliseconds from the request to the last octet of the response. */
  bulk: { input: { port: number; direction: 'download' | 'upload'; size: number }; output: number }
  /** Opens a connection through the proxy on this port, for `stream`. */
  openStream: { input: { port: number; isHttp2: boolean }; output: null }
  closeStream: { input: number; output: null }
  /** Asks on it for a response of so many chunks, and tells how late they are. */
  stream: { input: { port: number; count: number }; output: Lateness }
  /** Opens one connection of HTTP/2 through the proxy on this port. */
  openHttp2: { input: number; output: null }
  /** Sends so many requests on it, so many at once; returns how many responses came. */
  runHttp2: { input: { port: number; count: number; streams: number }; output: number }
  /** Closes it. */
  closeHttp2: { input: number; output: null }
  /** Opens WebSockets through the proxy on this port. */
  openSockets: { input: { port: number; connections: number }; output: null }
  /** Sends so many messages on each of them; returns how many were echoed. */
  runSockets: { input: { port: number; perConnection: number }; output: number }
  /** Sends requests one after the other on one connection; the milliseconds of each. */
  times: { input: { port: number; count: number }; output: number[] }
}

const request = smallRequest(SMALL_HOST)
const open = new Map<number, TLSSocket[]>()
const http2 = new Map<number, Http2Load>()
const chunkClients = new Map<number, ChunkClient>()
let trust: SecureContext = createSecureContext()

answer<LoadCalls>({
  trust: (ca) => {
    trust = createSecureContext({ ca })
    return null
  },
  open: async ({ port, connections }) => {
    open.set(port, await Promise.all(Array.from({ length: connections }, () => openTunnel(port, SMALL_HOST, trust))))
    return null
  },
  run: async ({ port, perConnection }) => {
    const sockets = open.get(port) ?? []
    await Promise.all(sockets.map((socket) => repeat(socket, request, SMALL_RESPONSE, perConnection)))
    return sockets.length * perConnection
  },
  close: (port) => {
    for (const socket of open.get(port) ?? []) socket.destroy()
    open.delete(port)
    return null
  },
  first: async ({ port, host }) => {
    const startedMs = performance.now()
    const socket = await openTunnel(port, host, trust)
    await repeat(socket, smallRequest(host), SMALL_RESPONSE, 1)
    const tookMs = performance.now() - startedMs
    socket.destroy()
    return tookMs
  },
  bulk: async ({ port, direction, size }) => {
    const socket = await openTunnel(port, BULK_HOST, trust)
    const startedMs = performance.now()
    await (direction === 'download' ? download : upload)(socket, size)
    const tookMs = performance.now() - startedMs
    socket.destroy()
    return tookMs
  },
  openStream: async ({ port, isHttp2 }) => {
    const client = isHttp2
      ? http2Client(await openTunnel(port, HTTP2_HOST, trust, 'h2'))
      : http1Client(await openTunnel(port, BULK_HOST, trust))
    chunkClients.set(port, client)
    return null
  },
  closeStream: (port) => {
    chunkClients.get(port)?.close()
    chunkClients.delete(port)
    return null
  },
  stream: ({ port, count }) => {
    const client = chunkClients.get(port)
    if (!client) throw new Error(`There is no connection through ${port}`)
    return client.read(count)
  },
  openHttp2: async (port) => {
    http2.set(port, await Http2Load.open(port, trust))
    return null
  },
  runHttp2: async ({ port, count, streams }) => {
    await http2.get(port)?.run(count, streams)
    return count
  },
  closeHttp2: (port) => {
    http2.get(port)?.close()
    http2.delete(port)
    return null
  },
  openSockets: async ({ port, connections }) => {
    const sockets = await Promise.all(Array.from({ length: connections }, () => openTunnel(port, SOCKET_HOST, trust)))
    await Promise.all(sockets.map((socket) => repeat(socket, SOCKET_REQUEST, SOCKET_RESPONSE, 1)))
    open.set(port, sockets)
    return null
  },
  runSockets: async ({ port, perConnection }) => {
    const sockets = open.get(port) ?? []
    await Promise.all(sockets.map((socket) => repeat(socket, SOCKET_MESSAGE, SOCKET_ECHO, perConnection)))
    return sockets.length * perConnection
  },
  times: async ({ port, count }) => {
    const socket = await openTunnel(port, SMALL_HOST, trust)
    const times: number[] = []
    for (let at = 0; at < count; at++) {
      const startedMs = performance.now()
      // One after the other: each is timed alone.
      await repeat(socket, request, SMALL_RESPONSE, 1)
      times.push(performance.now() - startedMs)
    }
    socket.destroy()
    return times
  },
})
