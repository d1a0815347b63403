/**
 * A small shop to test: a page, the API it asks for the price, and the bank it sends payments to.
 *
 * Its page speaks to `https://shop.test`, `https://api.shop.test` and `https://pay.test`. No DNS knows these names; the
 * proxy's `hosts` option sends them to the servers started here.
 */
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'

/** What the bank was asked to take. */
export interface Charge {
  readonly eur: number
}

/** A running shop. */
export interface Shop {
  /** Where the page is: `https://127.0.0.1:PORT/`. */
  readonly url: string
  /** Where the API is, the same. */
  readonly apiUrl: string
  /** Where the bank is, the same. */
  readonly payUrl: string
  /** Where the names of the shop really are, as the proxy's `hosts` option wants it. */
  readonly hosts: Record<string, string>
  /** The certificate of all three, in PEM; it is its own CA. */
  readonly certificate: string
  /** The charges that reached the bank, in their order. */
  readonly payments: readonly Charge[]
  /** Stops the servers, open connections included. */
  close(): Promise<void>
}

const PRODUCTS = [
  { name: 'Espresso machine', eur: 35 },
  { name: 'Coffee, 500 g', eur: 7 },
]

const CORS = {
  'access-control-allow-origin': 'https://shop.test',
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': 'content-type, x-shop-client',
}

/** Starts a shop on free ports of the loopback interface. */
export async function startShop(): Promise<Shop> {
  const { cert, private: key } = await makeCertificate()
  const payments: Charge[] = []
  const servers: Server[] = []
  const start = async (handle: Handler): Promise<number> => {
    const server = createServer({ cert, key }, (request, response) => void answer(handle, request, response))
    servers.push(server)
    return listen(server)
  }
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(stop))
  }

  try {
    const page = await start(servePage)
    const api = await start(servePrice)
    const pay = await start((request, response) => takePayment(request, response, payments))
    return {
      url: `https://127.0.0.1:${page}/`,
      apiUrl: `https://127.0.0.1:${api}/`,
      payUrl: `https://127.0.0.1:${pay}/`,
      hosts: {
        'shop.test': `127.0.0.1:${page}`,
        'api.shop.test': `127.0.0.1:${api}`,
        'pay.test': `127.0.0.1:${pay}`,
      },
      certificate: cert,
      payments,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

async function servePage(request: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (request.url ?? '') {
    case '/':
      return sendFile(response, 'index.html', 'text/html; charset=utf-8')
    case '/shop.js':
      return sendFile(response, 'shop.js', 'text/javascript; charset=utf-8')
    case '/products.json':
      return sendJson(response, 200, PRODUCTS)
    default:
      return sendJson(response, 404, { error: 'There is no such page' })
  }
}

function servePrice(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'OPTIONS') return void response.writeHead(204, CORS).end()
  if (request.url !== '/price') return sendJson(response, 404, { error: 'There is only /price' }, CORS)
  sendJson(response, 200, { eur: PRODUCTS.reduce((sum, { eur }) => sum + eur, 0) }, CORS)
}

async function takePayment(request: IncomingMessage, response: ServerResponse, payments: Charge[]): Promise<void> {
  if (request.method === 'OPTIONS') return void response.writeHead(204, CORS).end()
  if (request.method !== 'POST' || request.url !== '/charge') {
    return sendJson(response, 404, { error: 'There is only POST /charge' }, CORS)
  }
  const charge = readCharge(await readText(request))
  if (!charge) return sendJson(response, 400, { error: 'Expected {"eur": number}' }, CORS)
  payments.push(charge)
  sendJson(response, 201, { number: payments.length }, CORS)
}

function readCharge(text: string): Charge | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('eur' in value)) return undefined
    return typeof value.eur === 'number' && value.eur > 0 ? { eur: value.eur } : undefined
  } catch {
    return undefined
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = ''
  request.setEncoding('utf8')
  for await (const chunk of request) text += String(chunk)
  return text
}

async function sendFile(response: ServerResponse, name: string, type: string): Promise<void> {
  const body = await readFile(new URL(`public/${name}`, import.meta.url))
  response.writeHead(200, { 'content-type': type, 'content-length': body.length }).end(body)
}

function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const body = JSON.stringify(value)
  const length = String(Buffer.byteLength(body))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...headers }).end(body)
}

async function answer(handle: Handler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    await handle(request, response)
  } catch (error) {
    // The client went away in the middle of its request, or the page cannot be read.
    response.destroy(error instanceof Error ? error : undefined)
  }
}

async function makeCertificate(): Promise<{ cert: string; private: string }> {
  const names = ['shop.test', 'api.shop.test', 'pay.test', 'localhost']
  return generate([{ name: 'commonName', value: 'shop.test' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [...names.map((value) => ({ type: 2 as const, value })), { type: 7, ip: '127.0.0.1' }],
      },
    ],
  })
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  // A server that listens on a port has an address with one.
  return (server.address() as AddressInfo).port
}

async function stop(server: Server): Promise<void> {
  if (!server.listening) return
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
