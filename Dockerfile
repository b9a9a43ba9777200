# The daemon alone: no compiler, no test servers. Mirrors are mounted, status files are kept in a volume:
#   docker run -v "$PWD/mirrors.d:/app/mirrors.d:ro" -v bunnydb-status:/app/status -e STAGING_PASSWORD bunnydb
FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs its install script to compile the source; the test servers', which are not used here, would.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY --from=build /app/dist ./dist
COPY schemas ./schemas
COPY LICENSE ./
# A new volume takes the owner of the folder it covers. A folder of the host must be writable for uid 1000.
RUN mkdir mirrors.d status && chown node:node status
USER node
VOLUME /app/status
# "healthy" means that every mirror is Ready. A long first copy is not, and is no reason to restart:
# the process ends by itself when it cannot go on.
HEALTHCHECK --interval=30s --timeout=15s --start-period=10m --retries=3 \
  CMD ["node", "dist/main.js", "wait", "--all", "--timeout", "5s", "--status-dir", "/app/status"]
# In exec form: the daemon gets SIGTERM itself and stops between two transactions.
ENTRYPOINT ["node", "dist/main.js"]
# Arguments to `docker run` replace these: give --status-dir again when the verb needs it.
CMD ["run", "--dir", "/app/mirrors.d", "--status-dir", "/app/status"]
