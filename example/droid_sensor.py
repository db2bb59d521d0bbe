"""Send the readings of a motion sensor to droid_sensor_cherrypy_server.py: python example/droid_sensor.py

python example/droid_sensor.py                                 # a simulated telephone, anywhere
termux-sensor -s accelerometer -d 100 | python example/droid_sensor.py --source termux --url ws://SERVER:9000/ws
python example/droid_sensor.py --source sl4a --url ws://SERVER:9000/ws     # where there is androidhelper
"""

import argparse
import contextlib
import json
import math
import sys
import time

from ws4py.client.threadedclient import WebSocketClient


def simulated(interval=0.1):
    """Somebody who swings a telephone to and fro; the earth pulls on it with 9.8 m/s²."""
    while True:
        now = time.monotonic()
        tilt = 0.8 * math.sin(2 * now)
        yield [9.8 * math.sin(tilt), math.sin(9 * now), 9.8 * math.cos(tilt)]
        time.sleep(interval)


def termux(lines=sys.stdin):
    """What termux-sensor (package termux-api) prints: JSON objects over several lines, one for each reading."""
    text = ''
    for line in lines:
        text += line
        if line.startswith('}') or line.strip() == '{}':  # the object is complete
            yield from (sensor['values'][:3] for sensor in json.loads(text).values())
            text = ''


def sl4a(interval=0.1):
    """The scripting layer of old Androids, and of QPython."""
    import androidhelper

    droid = androidhelper.Android()
    droid.startSensingTimed(2, int(1000 * interval))  # 2 is the accelerometer
    while True:
        yield droid.sensorsReadAccelerometer().result
        time.sleep(interval)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Send the readings of a motion sensor.')
    parser.add_argument('--source', choices=['simulated', 'termux', 'sl4a'], default='simulated')
    parser.add_argument('--url', default='ws://127.0.0.1:9000/ws', help='%(default)s')
    chosen = parser.parse_args()
    with contextlib.closing(WebSocketClient(chosen.url)) as client, contextlib.suppress(KeyboardInterrupt):
        client.connect()
        for values in globals()[chosen.source]():
            client.send(json.dumps({'name': chosen.source, 'values': values}))
