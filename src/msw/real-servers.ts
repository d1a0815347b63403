/** What handlers have of the servers behind the mitm. */
import type { Field } from '../exchange.ts'

/** The real servers, as a handler reaches them: as the mitm does, with all that its options say of upstream. */
export interface RealServers {
  /** Asks one. @throws TypeError when it cannot be reached */
  fetch(request: Request): Promise<Response>
  /** Opens a WebSocket to one. */
  openWebSocket(url: string, options: RealSocketOptions): RealSocket
}

/** How a WebSocket to a real server is opened, and what is told of it. */
export interface RealSocketOptions {
  readonly protocols: readonly string[]
  /** Further fields of the handshake. */
  readonly fields: readonly Field[]
  readonly opened: () => void
  readonly message: (data: string | Uint8Array) => void
  readonly closed: (code: number, reason: string) => void
  readonly failed: (error: Error) => void
}

/** A WebSocket to a real server. */
export interface RealSocket {
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
}
