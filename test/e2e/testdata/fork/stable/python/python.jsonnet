{
  ID: 'python',
  versions: [
    {
      name: 'python27',
      version: '2.7',
      images: [
        {
          phase: 'installation',
          image: 'python:2.7@sha256:2727272727272727272727272727272727272727272727272727272727272727',
          command: 'pip install --prefix=$KUBELESS_INSTALL_VOLUME -r $KUBELESS_DEPS_FILE',
        },
        {
          phase: 'runtime',
          image: 'kubeless/python@sha256:0272027202720272027202720272027202720272027202720272027202720272',
          env: { PYTHONPATH: '$(KUBELESS_INSTALL_VOLUME)/lib/python2.7/site-packages:$(KUBELESS_INSTALL_VOLUME)' },
        },
      ],
    },
    {
      name: 'python38',
      version: '3.8',
      images: [
        {
          phase: 'installation',
          image: 'python:3.8@sha256:3838383838383838383838383838383838383838383838383838383838383838',
          command: 'pip install --prefix=$KUBELESS_INSTALL_VOLUME -r $KUBELESS_DEPS_FILE',
        },
        {
          phase: 'runtime',
          image: 'kubeless/python@sha256:0383038303830383038303830383038303830383038303830383038303830383',
          env: { PYTHONPATH: '$(KUBELESS_INSTALL_VOLUME)/lib/python3.8/site-packages:$(KUBELESS_INSTALL_VOLUME)' },
        },
      ],
    },
  ],
  depName: 'requirements.txt',
  fileNameSuffix: '.py',
}
