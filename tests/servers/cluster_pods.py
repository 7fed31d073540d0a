"""The pods of the cluster for tests: processes of this machine, each pod in a PID namespace of its own."""

import asyncio
import base64
import ctypes
import hashlib
import json
import os
import shutil
import signal
import struct

TOOLS = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]


def dies_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Processes:
    """What runs of one pod, and its disk."""

    def __init__(self, folder, container, lacks):
        self.folder, self.process = folder, None
        self.work = os.path.join(folder, container.get("workingDir", "/").lstrip("/") or "root")
        os.makedirs(self.work)
        self.environment = {"PATH": ":".join(TOOLS), "HOME": "/root", "HOSTNAME": os.path.basename(folder)}
        if lacks:
            # An image with fewer tools.
            tools = os.path.join(folder, "bin")
            os.makedirs(tools)
            for place in TOOLS:
                for name in os.listdir(place) if os.path.isdir(place) else []:
                    if name not in lacks and not os.path.lexists(os.path.join(tools, name)):
                        os.symlink(os.path.join(place, name), os.path.join(tools, name))
            self.environment["PATH"] = tools

    async def begin(self, command):
        self.process = await asyncio.create_subprocess_exec(
            "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--", *command,
            cwd=self.work, env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, preexec_fn=dies_with_us, start_new_session=True)
        # Nobody can come in before the first process is there.
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        while self.process.returncode is None:
            with open(children) as file:
                if file.read().strip():
                    return
            await asyncio.sleep(0.005)

    def first(self):
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
                return int(file.read().split()[0])
        except (OSError, IndexError):
            return None

    async def enter(self, command):
        spaces = f"/proc/{self.process.pid}/ns"
        return await asyncio.create_subprocess_exec(
            "nsenter", f"--pid={spaces}/pid_for_children", f"--mount={spaces}/mnt", f"--wd={self.work}", "--", *command,
            env=self.environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, preexec_fn=dies_with_us, start_new_session=True, limit=1 << 20)

    async def end(self, grace):
        """As a kubelet does: the first process is asked, then all are killed."""
        first = self.first() if self.process else None
        if first and grace > 0:
            try:
                os.kill(first, signal.SIGTERM)
                await asyncio.wait_for(self.process.wait(), grace)
            except (ProcessLookupError, asyncio.TimeoutError):
                pass
        if first and self.process.returncode is None:
            try:
                os.kill(first, signal.SIGKILL)
            except ProcessLookupError:
                pass
            await self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


async def frame(reader):
    head = await reader.readexactly(2)
    size = head[1] & 127
    if size == 126:
        size = struct.unpack(">H", await reader.readexactly(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", await reader.readexactly(8))[0]
    assert head[1] & 128, "a client's frames are masked"
    mask = await reader.readexactly(4)
    data = await reader.readexactly(size)
    whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head[0], whole.to_bytes(size, "big")


def framed(opcode, data):
    size = len(data)
    if size < 126:
        head = bytes([128 | opcode, size])
    elif size < 65536:
        head = bytes([128 | opcode, 126]) + struct.pack(">H", size)
    else:
        head = bytes([128 | opcode, 127]) + struct.pack(">Q", size)
    return head + data


async def serve(processes, command, reader, writer, headers, protocol):
    """`exec` over a WebSocket, once the request is known to be fine: channels 0 to 3, and 255 in v5."""
    key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    writer.write((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n").encode())
    # As the real one begins.
    for channel in (1, 2, 3):
        writer.write(framed(2, bytes([channel])))
    child = await processes.enter(command)

    async def take():
        try:
            while True:
                opcode, data = await frame(reader)
                if opcode & 15 == 8:
                    break
                if opcode & 15 == 9:
                    writer.write(framed(10, data))
                elif data[:1] == b"\0":
                    child.stdin.write(data[1:])
                    await child.stdin.drain()
                elif data == b"\xff\0" and protocol.startswith("v5"):
                    child.stdin.close()
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass
        child.stdin.close()

    async def give(channel, stream):
        try:
            while data := await stream.read(32768):
                writer.write(framed(2, bytes([channel]) + data))
                await writer.drain()
        except (ConnectionError, OSError):
            pass

    taking = asyncio.ensure_future(take())
    await asyncio.gather(give(1, child.stdout), give(2, child.stderr))
    code = await child.wait()
    status = {"metadata": {}, "status": "Success"}
    if code:
        causes = [{"reason": "ExitCode", "message": str(code)}]
        status = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes},
                  "message": f"command terminated with non-zero exit code: exit status {code}"}
    try:
        writer.write(framed(2, b"\x03" + json.dumps(status).encode()) + framed(8, struct.pack(">H", 1000)))
        await writer.drain()
    except (ConnectionError, OSError):
        pass
    taking.cancel()
    writer.close()
