"""Forks a process with everything imported for each request; see `binaries`.

A request is a packet with a module or a script, its arguments, folder and environment
as JSON, and three file descriptors: of the process's two streams, and where its exit
code goes.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback


def serve(channel):
    """Returns the request in the forked process, and None at the end of the server."""
    running = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                os.read(woken, 1024)
                report_ended(running)
            if channel in ready:
                packet, files, *_ = socket.recv_fds(channel, 1 << 20, 3)
                if not packet:
                    break
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.dup2(files[0], 1)
                    os.dup2(files[1], 2)
                    os.closerange(3, max(*files, channel.fileno(), wake) + 1)
                    return json.loads(packet)
                running[pid] = files.pop()
                for file in files:
                    os.close(file)
                channel.send(str(pid).encode())
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return None


def report_ended(running):
    """Tells the exit codes of those that have ended."""
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            file = running.pop(pid)
            os.write(file, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(file)


def become(request):
    """Runs what `python -m` or `python -c` would, and ends the process."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = [request.get("module", "-c"), *request["arguments"]]
    sys.path.insert(0, request["cwd"])
    code = 0
    try:
        if "module" in request:
            runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        else:
            exec(request["script"], {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # What is left of an interpreter's end takes 1.6 s of a core with TensorFlow.
    os._exit(code)


if __name__ == "__main__":
    import tensorflow  # noqa: F401

    import transfusion_tf.report.html
    import transfusion_tf.representations
    import transfusion_tf.studies
    import transfusion_tf.training  # noqa: F401
    import transfusion_tf_experiments.named_studies  # noqa: F401

    # As in `conftest`; and what a forked process looks through it copies.
    gc.freeze()
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        become(request)
