/** The server of the fault matrix. */
import { gzipSync } from 'node:zlib'
import type { CertificateAuthority } from 'playwright-mitm/core'
import { BODY } from './fault-case.ts'
import type { Asked } from './fault-case.ts'
import { startOrigin } from './origin.ts'
import type { Answer, Origin } from './origin.ts'

/** The name by which it is asked. */
export const HOST = 'app.test'

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
  redirect: (_, response) => {
    response.writeHead(302, { location: pathOf('content-length'), 'content-length': 0 }).end()
  },
}

/** Where it is asked for it. */
export function pathOf(asked: Asked): string {
  return `/${asked.replaceAll(' ', '-')}`
}

/** Starts the server: HTTPS by any name. */
export function startFaultOrigin(authority: Pick<CertificateAuthority, 'contextFor'>): Promise<Origin> {
  const answers: Record<string, Answer> = {
    // Closed, so that what is asked next comes by a connection of its own.
    '/': (_, response) => {
      const page = '<!doctype html><link rel="icon" href="data:,"><title>Faults</title>'
      response.writeHead(200, { 'content-type': 'text/html', connection: 'close' }).end(page)
    },
  }
  for (const [asked, answer] of Object.entries(ANSWERS)) {
    // A boundary: the keys of a record.
    answers[pathOf(asked as Asked)] = answer
  }
  return startOrigin({ answers, authority })
}
