/** A WebSocket server that echoes, of the package `ws`: with fragments, compression and all. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { ServerOptions, WebSocket } from 'ws'
import type { Origin } from './origin.ts'

/** Lets `origin` take WebSockets; they echo, unless `onSocket` says what they do. */
export function serveSockets(
  origin: Origin,
  options: ServerOptions = {},
  onSocket: (socket: WebSocket, request: IncomingMessage) => void = echo,
): void {
  const server = new WebSocketServer({ noServer: true, ...options })
  origin.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined)
    server.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => undefined)
      onSocket(webSocket, request)
    })
  })
}

function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}
