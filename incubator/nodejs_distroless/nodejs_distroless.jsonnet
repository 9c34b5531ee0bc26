{
  ID: 'nodejs_distroless',
  depName: 'package.json',
  fileNameSuffix: '.js',
  versions: [
    {
      name: 'nodejs_distroless20',
      version: '20',
      images: [
        {
          phase: 'installation',
          image: 'kubeless/nodejs-init:20',
          command: 'npm install --omit=dev',
        },
        {
          phase: 'runtime',
          image: 'kubeless/nodejs-distroless:20',
          env: { NODE_PATH: '$(KUBELESS_INSTALL_VOLUME)/node_modules' },
        },
      ],
    },
  ],
}
