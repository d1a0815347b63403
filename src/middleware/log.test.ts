import { PassThrough } from 'node:stream'

import { describe, expect, it, vi } from 'vitest'

import { Connection } from '../connection.ts'
import { MitmError } from '../errors.ts'
import { Exchange, HttpRequest, HttpResponse } from '../exchange.ts'
import { Host } from '../host.ts'
import { httpLog } from './http-log.ts'
import { log } from './log.ts'

function connected(): Connection {
  const connection = new Connection(new Host({ writer: new PassThrough() }), new Host({ writer: new PassThrough() }))
  Object.assign(connection.client, { ip: '127.0.0.1', port: 5000 })
  Object.assign(connection.server, { ip: '10.0.0.1', port: 443 })
  return connection
}

function post(connection: Connection, url = 'https://pay.test/charge'): Exchange {
  const head = { method: 'POST', url, target: '/charge', httpVersion: 'HTTP/1.1', fields: [] }
  return new Exchange(connection, new HttpRequest(head))
}

describe('log()', () => {
  it('writes a line for each event and for the size of each chunk', () => {
    const lines: string[] = []
    const logger = log({ write: (line) => lines.push(line) })
    const connection = connected()
    void logger.mitmStarted?.('127.0.0.1', 8080)
    void logger.clientConnected?.(connection)
    connection.serverTls = {
      version: 'TLSv1.3',
      cipher: 'TLS_AES_128_GCM_SHA256',
      alpn: undefined,
      offeredAlpn: [],
      serverName: undefined,
      certificate: undefined,
      chain: [],
      clientCertificate: undefined,
      authorizationError: undefined,
    }
    void logger.serverConnected?.(connection)
    void logger.clientData?.(connection, Buffer.alloc(512))
    void logger.serverData?.(connection, Buffer.alloc(1))
    void logger.serverDisconnected?.(connection)
    void logger.clientDisconnected?.(connection)
    connection.end('client-closed')
    connection.errors.push(new MitmError('MITM_CLIENT_RESET', 'Cannot read'))
    void logger.connectionEnded?.(connection)
    expect(lines).toEqual([
      'listening on 127.0.0.1:8080',
      '127.0.0.1:5000 connected',
      '127.0.0.1:5000 -> 10.0.0.1:443 connected (tls)',
      '127.0.0.1:5000 -> 10.0.0.1:443 512 bytes',
      '127.0.0.1:5000 <- 10.0.0.1:443 1 byte',
      '10.0.0.1:443 disconnected',
      '127.0.0.1:5000 disconnected',
      '127.0.0.1:5000 -> 10.0.0.1:443 ended (client-closed)',
      '127.0.0.1:5000 -> 10.0.0.1:443 Cannot read [MITM_CLIENT_RESET]',
    ])
  })

  it('passes data on unchanged, also when it cannot write', () => {
    const logger = log({
      write: () => {
        throw new Error('the disk is full')
      },
    })
    const data = Buffer.from([0, 255, 10])
    expect(logger.clientData?.(connected(), data)).toBe(data)
    expect(logger.serverData?.(connected(), data)).toBe(data)
  })

  it('says of a server that is not connected yet that it is empty', () => {
    const lines: string[] = []
    const connection = connected()
    connection.server = new Host()
    void log({ write: (line) => lines.push(line) }).clientData?.(connection, Buffer.alloc(2))
    expect(lines).toEqual(['127.0.0.1:5000 -> <empty host> 2 bytes'])
  })

  it('writes to standard error by default', () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {})
    void log().clientConnected?.(connected())
    expect(error).toHaveBeenCalledWith('127.0.0.1:5000 connected')
    error.mockRestore()
  })
})

describe('httpLog()', () => {
  function logged(act: (logger: ReturnType<typeof httpLog>) => void): string[] {
    const lines: string[] = []
    act(httpLog({ write: (line) => lines.push(line) }))
    return lines
  }

  it('writes a line for the request and one for the response', () => {
    const exchange = post(connected())
    const lines = logged((logger) => {
      exchange.request.addBody(Buffer.alloc(17))
      logger.requestEnded?.(exchange)
      exchange.response = new HttpResponse({ status: 201, statusText: 'Created', httpVersion: 'HTTP/1.1', fields: [] })
      exchange.response.addBody(Buffer.alloc(42))
      exchange.timings.endMs = 34.6
      exchange.endReason = 'complete'
      logger.exchangeEnded?.(exchange)
    })
    expect(lines).toEqual([
      `${exchange.id} > POST https://pay.test/charge 17 bytes`,
      `${exchange.id} < 201 Created POST https://pay.test/charge 42 bytes in 35 ms`,
    ])
  })

  it('says why there was no response, or only a part of one', () => {
    const [none, part] = [post(connected()), post(connected())]
    const lines = logged((logger) => {
      none.timings.endMs = 12
      none.endReason = 'server-reset'
      logger.exchangeEnded?.(none)
      part.response = new HttpResponse({ status: 200, statusText: '', httpVersion: 'HTTP/2', fields: [] })
      part.timings.endMs = 7
      part.endReason = 'server-closed'
      logger.exchangeEnded?.(part)
    })
    expect(lines).toEqual([
      `${none.id} < server-reset POST https://pay.test/charge 0 bytes in 12 ms`,
      `${part.id} < 200 (server-closed) POST https://pay.test/charge 0 bytes in 7 ms`,
    ])
  })

  it('survives heads that cannot be read, and cuts a very long URL', () => {
    const broken = new Exchange(
      connected(),
      new HttpRequest(() => {
        throw new Error('no head at all')
      }),
    )
    const long = post(connected(), `https://pay.test/${'x'.repeat(5000)}`)
    const lines = logged((logger) => {
      logger.requestEnded?.(broken)
      logger.requestEnded?.(long)
    })
    expect(lines[0]).toBe(`${broken.id} > (a request whose head cannot be read) 0 bytes`)
    expect(lines[1]).toHaveLength(`${long.id} > POST … 0 bytes`.length + 500)
  })

  it('tells of other data once for each direction, when a connection ends without any exchange', () => {
    const connection = connected()
    connection.bytes.fromClient = 512
    const spoken = connected()
    spoken.bytes.fromClient = 100
    post(spoken)
    const lines = logged((logger) => {
      void logger.connectionEnded?.(connection)
      connection.bytes.fromServer = 9
      void logger.connectionEnded?.(connection)
      void logger.connectionEnded?.(spoken)
    })
    expect(lines).toEqual([
      '127.0.0.1:5000 -> 10.0.0.1:443 512 bytes of non-HTTP data',
      '127.0.0.1:5000 -> 10.0.0.1:443 512 bytes of non-HTTP data',
      '127.0.0.1:5000 <- 10.0.0.1:443 9 bytes of non-HTTP data',
    ])
  })
})
