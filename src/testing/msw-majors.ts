/** Both majors of MSW, as the contract of handlers is held by each. */
import * as msw2 from 'msw-2'
import * as msw3 from 'msw-3'
import { graphql as graphql3 } from 'msw-3/graphql'

type Msw = Pick<typeof msw2, 'http' | 'HttpResponse' | 'passthrough' | 'bypass' | 'delay' | 'ws' | 'sse'>

/** One major of MSW. */
export interface MswMajor {
  readonly name: 'msw 2' | 'msw 3'
  readonly msw: Msw
  /** `graphql` for one endpoint. */
  graphqlAt(url: string): Pick<typeof msw2.graphql, 'query' | 'mutation'>
}

/** Both, the older first. */
export const MSW_MAJORS: readonly [MswMajor, MswMajor] = [
  { name: 'msw 2', msw: msw2, graphqlAt: (url) => msw2.graphql.link(url) },
  // A boundary: the two differ in types that tests do not look at.
  {
    name: 'msw 3',
    msw: msw3 as unknown as Msw,
    graphqlAt: (url) => graphql3.link(url) as unknown as ReturnType<MswMajor['graphqlAt']>,
  },
]

/** Why `sse()` of MSW 3 cannot be used here; undefined where it can. It needs what Node has from version 22 on. */
export const NO_SSE_IN_MSW_3: string | undefined =
  'withResolvers' in Promise ? undefined : 'msw 3 needs Promise.withResolvers() for sse()'
