import docopt
import setuptools
import wheel


def handler(event, context):
    return [module.__file__ for module in (docopt, setuptools, wheel)]
