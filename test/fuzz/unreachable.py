UNREACHABLE = {'head': {}, 'extensions': {}, 'stream': {}, 'response': {}}
