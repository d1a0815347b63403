/** The server of the fault matrix. */
import { gzipSync } from 'node:zlib'
import type { CertificateAuthority } from 'playwright-mitm/core'
import { BODY } from './fault-case.ts'
import type { Asked, FaultCase } from './fault-case.ts'
import { startOrigin } from './origin.ts'
import type { Answer, Origin } from './origin.ts'

/** The name by which it is asked, but for what is cross-origin. */
export const HOST = 'app.test'
const OTHER_HOST = 'api.test'
/** Both of them. */
export const HOSTS = '*.test'

const JSON_TYPE = { 'content-type': 'application/json' }
const PIECE = 25

/** By what is asked. */
const ANSWERS: Readonly<Record<Asked, Answer>> = {
  'content-length': (_, response) => {
    response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(BODY) }).end(BODY)
  },
  chunked: (_, response) => {
    response.writeHead(200, JSON_TYPE)
    for (let at = 0; at < BODY.length; at += PIECE) response.write(BODY.slice(at, at + PIECE))
    response.end()
  },
  'until close': (_, response) => {
    // Without either of the two, Node ends the body by closing the connection.
    response.removeHeader('transfer-encoding')
    response.writeHead(200, JSON_TYPE).end(BODY)
  },
  gzip: (_, response) => {
    const octets = gzipSync(BODY)
    const fields = { ...JSON_TYPE, 'content-encoding': 'gzip', 'content-length': octets.length }
    response.writeHead(200, fields).end(octets)
  },
  'cross-origin': (_, response) => {
    response.writeHead(200, { ...JSON_TYPE, 'access-control-allow-origin': '*' }).end(BODY)
  },
}

/** Where it is asked for it. */
export function urlOf({ asked = 'content-length' }: Pick<FaultCase, 'asked'>): URL {
  return new URL(pathOf(asked), `https://${asked === 'cross-origin' ? OTHER_HOST : HOST}`)
}

function pathOf(asked: Asked): string {
  return `/${asked.replaceAll(' ', '-')}`
}

/** Starts the server: HTTPS by any name. @param http2 - Whether it speaks HTTP/2 as well. */
export function startFaultOrigin(
  authority: Pick<CertificateAuthority, 'contextFor'>,
  http2: boolean = false,
): Promise<Origin> {
  const answers: Record<string, Answer> = {
    // Closed, so that what is asked next comes by a connection of its own.
    '/': ({ httpVersionMajor }, response) => {
      const page = '<!doctype html><link rel="icon" href="data:,"><title>Faults</title>'
      const closed = httpVersionMajor === 1 ? { connection: 'close' } : {}
      response.writeHead(200, { 'content-type': 'text/html', ...closed }).end(page)
    },
  }
  for (const [asked, answer] of Object.entries(ANSWERS)) {
    // A boundary: the keys of a record.
    answers[pathOf(asked as Asked)] = answer
  }
  return startOrigin({ answers, authority, http2 })
}
