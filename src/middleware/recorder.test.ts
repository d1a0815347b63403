import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'

import { describe, expect, it, vi } from 'vitest'

import { Connection } from '../connection.ts'
import { MitmError } from '../errors.ts'
import { Exchange, HttpRequest, HttpResponse } from '../exchange.ts'
import { Host } from '../host.ts'
import { Protocol } from '../protocol.ts'
import { recorder } from './recorder.ts'

class Plain extends Protocol {
  resolve(): never {
    throw new Error('never asked')
  }
}

function accepted(): Connection {
  const connection = new Connection(new Host({ writer: new PassThrough() }))
  connection.client.ip = '127.0.0.1'
  connection.client.port = 5000
  return connection
}

function connectServer(connection: Connection, host: string, ip: string): void {
  connection.destination = { host, port: 443, tls: true }
  connection.server = new Host({ writer: new PassThrough() })
  connection.server.ip = ip
  connection.server.port = 443
}

function exchangeOn(connection: Connection, url = 'https://pay.test/charge'): Exchange {
  const head = { method: 'POST', url, target: '/charge', httpVersion: 'HTTP/1.1', fields: [] }
  return new Exchange(connection, new HttpRequest(head))
}

function respond(exchange: Exchange): HttpResponse {
  exchange.response = new HttpResponse({ status: 201, statusText: 'Created', httpVersion: 'HTTP/1.1', fields: [] })
  return exchange.response
}

describe('a connection record', () => {
  it('follows the connection from accept to end', () => {
    const records = recorder()
    const connection = accepted()
    void records.clientConnected?.(connection)
    const [record] = records.connections
    expect(record).toMatchObject({
      id: connection.id,
      client: { ip: '127.0.0.1', port: 5000 },
      server: undefined,
      connectedAt: undefined,
      endedAt: undefined,
      startedAt: connection.startedAt,
    })
    expect(String(record)).toBe('127.0.0.1:5000 -> <empty host>')

    connection.layers.push('tls', 'http/1.1')
    connection.protocol = new Plain()
    connectServer(connection, 'pay.test', '10.0.0.1')
    void records.serverConnected?.(connection)
    connection.bytes.fromClient = 17
    connection.bytes.fromServer = 42
    expect(record).toMatchObject({
      server: { ip: '10.0.0.1', port: 443, host: 'pay.test' },
      protocol: 'plain',
      layers: ['tls', 'http/1.1'],
      bytesFromClient: 17,
      bytesFromServer: 42,
    })
    expect(record?.connectedAt).toBe(record?.server?.connectedAt)
    expect(String(record)).toBe('127.0.0.1:5000 -> 10.0.0.1:443 (pay.test)')

    const error = new MitmError('MITM_SERVER_RESET', 'Cannot read')
    connection.errors.push(error)
    connection.end('server-reset')
    connection.endedAt = 123
    void records.connectionEnded?.(connection)
    expect(record).toMatchObject({ endedAt: 123, endReason: 'server-reset', errors: [error] })
    expect(records.connections).toHaveLength(1)
  })

  it('holds no stream and no connection', () => {
    const records = recorder()
    const connection = accepted()
    connectServer(connection, 'pay.test', '10.0.0.1')
    void records.clientConnected?.(connection)
    void records.serverConnected?.(connection)
    void records.connectionEnded?.(connection)
    const [record] = records.connections
    const held = new Set<unknown>()
    collect(record, held)
    expect(held).toContain('10.0.0.1')
    expect([...held].some((value) => value instanceof Host || value instanceof PassThrough)).toBe(false)
    expect(held).not.toContain(connection)
  })

  it('lists every server of a connection, and shows the last as its server', () => {
    const records = recorder()
    const connection = accepted()
    void records.clientConnected?.(connection)
    connectServer(connection, 'a.test', '10.0.0.1')
    void records.serverConnected?.(connection)
    connectServer(connection, 'b.test', '10.0.0.2')
    void records.serverConnected?.(connection)
    expect(records.connections[0]?.servers.map((server) => server.host)).toEqual(['a.test', 'b.test'])
    expect(records.connections[0]?.server?.ip).toBe('10.0.0.2')
  })

  it('is made for a connection that was there before the recorder', () => {
    const records = recorder()
    const connection = accepted()
    connectServer(connection, 'pay.test', '10.0.0.1')
    records.requestStarted?.(exchangeOn(connection))
    expect(records.connections.map(String)).toEqual(['127.0.0.1:5000 -> 10.0.0.1:443 (pay.test)'])
  })

  it('puts an IPv6 address in brackets, and does not repeat an address as name', () => {
    const records = recorder()
    const connection = accepted()
    connectServer(connection, '::1', '::1')
    void records.serverConnected?.(connection)
    expect(String(records.connections[0])).toBe('127.0.0.1:5000 -> [::1]:443')
  })
})

describe('exchanges', () => {
  it('are kept in the order of their start, on the recorder and on their connection', () => {
    const records = recorder()
    const [first, second] = [accepted(), accepted()]
    const exchanges = [exchangeOn(first), exchangeOn(second), exchangeOn(first)]
    for (const exchange of exchanges) records.requestStarted?.(exchange)
    expect(records.exchanges).toEqual(exchanges)
    expect(records.connections[0]?.exchanges.map(({ id }) => id)).toEqual([`${first.id}.1`, `${first.id}.2`])
    expect(records.connections[1]?.exchanges.map(({ id }) => id)).toEqual([`${second.id}.1`])
  })

  it('keep at most maxBodyBytes of each body', () => {
    const records = recorder({ maxBodyBytes: 4 })
    const exchange = exchangeOn(accepted())
    records.requestStarted?.(exchange)
    exchange.request.addBody(Buffer.from('request'))
    const response = respond(exchange)
    records.responseStarted?.(exchange)
    response.addBody(Buffer.from('response'))
    expect(exchange.request.body.toString()).toBe('requ')
    expect(response.body.toString()).toBe('resp')
    expect(response.isBodyTruncated).toBe(true)
  })

  it('do not have their head parsed by being recorded', () => {
    const parse = vi.fn<() => never>()
    const records = recorder()
    const exchange = new Exchange(accepted(), new HttpRequest(parse))
    records.requestStarted?.(exchange)
    records.requestEnded?.(exchange)
    records.exchangeEnded?.(exchange)
    expect(parse).not.toHaveBeenCalled()
  })
})

describe('changes', () => {
  it.each([
    ['clientConnected', (records, connection) => records.clientConnected?.(connection)],
    ['serverConnected', (records, connection) => records.serverConnected?.(connection)],
    ['clientDisconnected', (records, connection) => records.clientDisconnected?.(connection)],
    ['serverDisconnected', (records, connection) => records.serverDisconnected?.(connection)],
    ['connectionEnded', (records, connection) => records.connectionEnded?.(connection)],
    ['requestStarted', (records, _, exchange) => records.requestStarted?.(exchange)],
    ['requestEnded', (records, _, exchange) => records.requestEnded?.(exchange)],
    ['responseStarted', (records, _, exchange) => records.responseStarted?.(exchange)],
    ['exchangeEnded', (records, _, exchange) => records.exchangeEnded?.(exchange)],
    ['clear()', (records) => records.clear()],
  ] satisfies [
    string,
    (records: ReturnType<typeof recorder>, connection: Connection, exchange: Exchange) => unknown,
  ][])('fires at %s', async (_, happen) => {
    const records = recorder()
    const connection = accepted()
    void records.clientConnected?.(connection)
    await setImmediate()
    const listener = vi.fn()
    records.changes.subscribe(listener)
    void happen(records, connection, exchangeOn(connection))
    await setImmediate()
    expect(listener).toHaveBeenCalledTimes(1)
  })
})

describe('clear()', () => {
  it('forgets what was, and leaves arrays that somebody holds as they are', () => {
    const records = recorder()
    const exchange = exchangeOn(accepted())
    records.requestStarted?.(exchange)
    const { exchanges, connections } = records
    records.clear()
    expect(records.exchanges).toEqual([])
    expect(records.connections).toEqual([])
    expect(exchanges).toEqual([exchange])
    expect(connections).toHaveLength(1)
  })

  it('does not bring back a connection or an exchange by its end', () => {
    const records = recorder()
    const connection = accepted()
    const exchange = exchangeOn(connection)
    void records.clientConnected?.(connection)
    records.requestStarted?.(exchange)
    records.clear()
    records.exchangeEnded?.(exchange)
    void records.clientDisconnected?.(connection)
    void records.connectionEnded?.(connection)
    expect(records.exchanges).toEqual([])
    expect(records.connections).toEqual([])
  })

  it('brings back an open connection with its next exchange, its server known', () => {
    const records = recorder()
    const connection = accepted()
    void records.clientConnected?.(connection)
    connectServer(connection, 'pay.test', '10.0.0.1')
    void records.serverConnected?.(connection)
    records.requestStarted?.(exchangeOn(connection))
    const before = records.connections[0]
    records.clear()
    const next = exchangeOn(connection)
    records.requestStarted?.(next)
    expect(records.connections).toHaveLength(1)
    expect(records.connections[0]).not.toBe(before)
    expect(records.connections[0]?.servers).toEqual(before?.servers)
    expect(records.connections[0]?.exchanges).toEqual([next])
    expect(before?.exchanges).toHaveLength(1)
  })
})

it.each([-1, 1.5, Number.NaN])('recorder() refuses %d as maxBodyBytes', (maxBodyBytes) => {
  expect(() => recorder({ maxBodyBytes })).toThrow(expect.objectContaining({ code: 'MITM_INVALID_OPTION' }))
})

function collect(value: unknown, held: Set<unknown>): void {
  if (held.has(value)) return
  held.add(value)
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) collect(inner, held)
}
