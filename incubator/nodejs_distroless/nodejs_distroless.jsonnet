{
  ID: 'nodejs_distroless',
  depName: 'package.json',
  fileNameSuffix: '.js',
  versions: [
    {
      name: 'nodejs_distroless24',
      version: '24',
      eol:: '2028-04-30',  // as Node.js
      images: [
        {
          phase: 'installation',
          image: 'kubeless/nodejs-init:24',
          command: 'npm install --omit=dev',
        },
        {
          phase: 'runtime',
          image: 'kubeless/nodejs-distroless:24',
          env: { NODE_PATH: '$(KUBELESS_INSTALL_VOLUME)/node_modules' },
          build:: { args: { VERSION: '24' } },
        },
      ],
    },
  ],
}
