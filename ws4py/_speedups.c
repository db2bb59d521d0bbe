/* The few functions of ws4py that touch every byte or every frame, in C.

Each stands for a function of the same name in pure Python, which is used where there is no compiler, and is held to
the same tests:

    mask                      ws4py.masking
    next_frame, build_frame   ws4py.framing
    is_utf8, utf8_prefix      ws4py.utf8validator

None of them keeps anything between two calls, knows of limits or of what a frame means, or decides what is an error of
the peer: next_frame() gives what is complete and right, and leaves everything else to Frame.parser, which says why.

Memory is only read through buffers that are held, so no caller can shorten it meanwhile. Nothing depends on the GIL:
what is written is new and nobody else's. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0F, CONTROL = 0x08, MASKED = 0x80, LENGTH = 0x7F };
enum { OPCODE_TEXT = 1, OPCODE_BINARY = 2, OPCODE_PONG = 0xA };
enum { CONTROL_SIZE = 125, TWO_BYTES = 126, EIGHT_BYTES = 127, KEY_SIZE = 4, MAX_HEADER = 14 };

static int
check_count(const char *name, Py_ssize_t given, Py_ssize_t least, Py_ssize_t most)
{
    if (given >= least && given <= most)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, not %zd", name, least, most, given);
    return -1;
}

/* Masking, RFC 6455 section 5.3 */

static int
read_key(PyObject *object, unsigned char key[KEY_SIZE])
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0)
        return -1;
    Py_ssize_t size = view.len;
    if (size == KEY_SIZE)
        memcpy(key, view.buf, KEY_SIZE);
    PyBuffer_Release(&view);
    if (size == KEY_SIZE)
        return 0;
    PyErr_Format(PyExc_ValueError, "a masking key has 4 bytes, not %zd", size);
    return -1;
}

/* Eight bytes at a time, which compilers turn into larger registers; memcpy() because nothing is aligned. The two may
   be the same memory. */
static void
xor_key(unsigned char *out, const unsigned char *in, Py_ssize_t size, const unsigned char key[KEY_SIZE])
{
    uint64_t cycle, word;
    Py_ssize_t at = 0;
    memcpy(&cycle, key, KEY_SIZE);
    memcpy((unsigned char *)&cycle + KEY_SIZE, key, KEY_SIZE);
    for (; size - at >= 8; at += 8) {
        memcpy(&word, in + at, 8);
        word ^= cycle;
        memcpy(out + at, &word, 8);
    }
    for (; at < size; at++)
        out[at] = in[at] ^ key[at & 3];
}

/* The same for what Python calls bytes-like: views may have gaps. */
static int
xor_view(unsigned char *out, Py_buffer *data, const unsigned char key[KEY_SIZE])
{
    if (PyBuffer_IsContiguous(data, 'C')) {
        xor_key(out, data->buf, data->len, key);
        return 0;
    }
    if (PyBuffer_ToContiguous(out, data, data->len, 'C') < 0)
        return -1;
    xor_key(out, out, data->len, key);
    return 0;
}

PyDoc_STRVAR(mask_doc, "mask(data, key, /)\n--\n\n*data* masked with the four bytes of *key*, as a new object.");

static PyObject *
mask(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    unsigned char key[KEY_SIZE];
    Py_buffer data;
    if (check_count("mask", count, 2, 2) < 0 || read_key(args[1], key) < 0)
        return NULL;
    if (PyObject_GetBuffer(args[0], &data, PyBUF_FULL_RO) < 0)
        return NULL;
    PyObject *masked = PyBytes_FromStringAndSize(NULL, data.len);
    if (masked != NULL && xor_view((unsigned char *)PyBytes_AS_STRING(masked), &data, key) < 0)
        Py_CLEAR(masked);
    PyBuffer_Release(&data);
    return masked;
}

/* Frames, RFC 6455 section 5.2 */

static int
is_right(unsigned char first, Py_ssize_t length, long reserved)
{
    unsigned char opcode = first & OPCODE;
    if (first & RESERVED && (first & RESERVED & ~reserved || (opcode != OPCODE_TEXT && opcode != OPCODE_BINARY)))
        return 0;
    if (opcode & CONTROL)
        return first & FIN && opcode <= OPCODE_PONG && length <= CONTROL_SIZE;
    return opcode <= OPCODE_BINARY;
}

PyDoc_STRVAR(next_frame_doc,
             "next_frame(data, position, masked, reserved=0, /)\n--\n\n"
             "The frame that begins at *position* of *data*: its first byte, its payload in clear and the position\n"
             "behind it; None where it is not all there or not right.");

static PyObject *
next_frame(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    long reserved = 0;
    if (check_count("next_frame", count, 3, 4) < 0)
        return NULL;
    if (!PyBytes_Check(args[0]))
        return PyErr_Format(PyExc_TypeError, "frames are read from bytes, not from %.100s", Py_TYPE(args[0])->tp_name);
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(args[0]);
    Py_ssize_t size = PyBytes_GET_SIZE(args[0]), at = PyLong_AsSsize_t(args[1]);
    if (at == -1 && PyErr_Occurred())
        return NULL;
    int masked = PyObject_IsTrue(args[2]);
    if (masked < 0)
        return NULL;
    if (count > 3 && (reserved = PyLong_AsLong(args[3])) == -1 && PyErr_Occurred())
        return NULL;

    if (at < 0 || at > size - 2)
        Py_RETURN_NONE;
    unsigned char first = data[at], second = data[at + 1];
    uint64_t length = second & LENGTH;
    at += 2;
    if (length == TWO_BYTES) {
        if (size - at < 2)
            Py_RETURN_NONE;
        length = (uint64_t)data[at] << 8 | data[at + 1];
        if (length < TWO_BYTES)
            Py_RETURN_NONE;
        at += 2;
    }
    else if (length == EIGHT_BYTES) {
        if (size - at < 8)
            Py_RETURN_NONE;
        length = 0;
        for (int i = 0; i < 8; i++)
            length = length << 8 | data[at + i];
        if (length < 1 << 16)
            Py_RETURN_NONE;
        at += 8;
    }
    if (masked) {
        if (size - at < KEY_SIZE)
            Py_RETURN_NONE;
        at += KEY_SIZE;
    }
    if (length > (uint64_t)(size - at) || (second & MASKED ? 1 : 0) != masked)
        Py_RETURN_NONE;
    if (!is_right(first, (Py_ssize_t)length, reserved))
        Py_RETURN_NONE;

    PyObject *payload = PyBytes_FromStringAndSize(masked ? NULL : (const char *)data + at, (Py_ssize_t)length);
    if (payload == NULL)
        return NULL;
    if (masked)
        xor_key((unsigned char *)PyBytes_AS_STRING(payload), data + at, (Py_ssize_t)length, data + at - KEY_SIZE);
    PyObject *frame = PyTuple_New(3), *number = PyLong_FromLong(first), *end = PyLong_FromSsize_t(at + (Py_ssize_t)length);
    if (frame == NULL || number == NULL || end == NULL) {
        Py_XDECREF(frame);
        Py_XDECREF(number);
        Py_XDECREF(end);
        Py_DECREF(payload);
        return NULL;
    }
    PyTuple_SET_ITEM(frame, 0, number);
    PyTuple_SET_ITEM(frame, 1, payload);
    PyTuple_SET_ITEM(frame, 2, end);
    return frame;
}

PyDoc_STRVAR(build_frame_doc,
             "build_frame(first, payload, key=None, /)\n--\n\n"
             "The bytes of a frame with the first byte *first*, masked where there is a *key*.");

static PyObject *
build_frame(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    unsigned char key[KEY_SIZE], header[MAX_HEADER];
    Py_buffer payload;
    if (check_count("build_frame", count, 2, 3) < 0)
        return NULL;
    long first = PyLong_AsLong(args[0]);
    if (first == -1 && PyErr_Occurred())
        return NULL;
    if (first < 0 || first > 255)
        return PyErr_Format(PyExc_ValueError, "the first byte of a frame is 0 to 255, not %ld", first);
    int masked = count > 2 && args[2] != Py_None;
    if (masked && read_key(args[2], key) < 0)
        return NULL;
    if (PyObject_GetBuffer(args[1], &payload, PyBUF_SIMPLE) < 0)
        return NULL;

    Py_ssize_t size = 2, length = payload.len;
    header[0] = (unsigned char)first;
    header[1] = masked ? MASKED : 0;
    if (length < TWO_BYTES)
        header[1] |= (unsigned char)length;
    else {
        int wide = length < 1 << 16 ? 2 : 8;
        header[1] |= wide == 2 ? TWO_BYTES : EIGHT_BYTES;
        for (int i = wide - 1; i >= 0; i--)
            header[size++] = (unsigned char)((uint64_t)length >> 8 * i);
    }
    if (masked) {
        memcpy(header + size, key, KEY_SIZE);
        size += KEY_SIZE;
    }
    PyObject *frame = length > PY_SSIZE_T_MAX - size ? PyErr_NoMemory() : PyBytes_FromStringAndSize(NULL, size + length);
    if (frame != NULL) {
        unsigned char *out = (unsigned char *)PyBytes_AS_STRING(frame);
        memcpy(out, header, size);
        if (masked)
            xor_key(out + size, payload.buf, length, key);
        else if (length)
            memcpy(out + size, payload.buf, length);
    }
    PyBuffer_Release(&payload);
    return frame;
}

/* UTF-8, RFC 3629 section 4 */

/* The length of the character at *text*, 0 where it is wrong or cut. */
static Py_ssize_t
character(const unsigned char *text, Py_ssize_t size)
{
    unsigned char lead = text[0], low = 0x80, high = 0xBF;
    Py_ssize_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || length > size)
        return 0;
    switch (lead) { /* overlong forms, surrogates, and past U+10FFFF */
    case 0xE0: low = 0xA0; break;
    case 0xED: high = 0x9F; break;
    case 0xF0: low = 0x90; break;
    case 0xF4: high = 0x8F; break;
    }
    for (Py_ssize_t at = 1; at < length; at++) {
        if (text[at] < low || text[at] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

static Py_ssize_t
whole_characters(const unsigned char *text, Py_ssize_t size)
{
    Py_ssize_t at = 0, length;
    uint64_t words[4];
    while (at < size) {
        while (size - at >= (Py_ssize_t)sizeof(words)) { /* ASCII, as most text is */
            memcpy(words, text + at, sizeof(words));
            if ((words[0] | words[1] | words[2] | words[3]) & UINT64_C(0x8080808080808080))
                break;
            at += sizeof(words);
        }
        do {
            if (at == size)
                break;
            length = character(text + at, size - at);
            if (length == 0)
                return at;
            at += length;
        } while (text[at - 1] >= 0x80 || at & 31);
    }
    return at;
}

/* The prefix of *object* that is made of whole characters, and its size; -1 for an exception. */
static Py_ssize_t
measure(PyObject *object, Py_ssize_t *size)
{
    Py_buffer text;
    if (PyObject_GetBuffer(object, &text, PyBUF_SIMPLE) < 0)
        return -1;
    Py_ssize_t prefix = whole_characters(text.buf, text.len);
    *size = text.len;
    PyBuffer_Release(&text);
    return prefix;
}

PyDoc_STRVAR(is_utf8_doc, "is_utf8(data, /)\n--\n\nWhether *data* is UTF-8 from the first to the last byte.");

static PyObject *
is_utf8(PyObject *module, PyObject *data)
{
    Py_ssize_t size, prefix = measure(data, &size);
    return prefix < 0 ? NULL : PyBool_FromLong(prefix == size);
}

PyDoc_STRVAR(utf8_prefix_doc,
             "utf8_prefix(data, /)\n--\n\nHow many bytes at the start of *data* make up characters that are right and whole.");

static PyObject *
utf8_prefix(PyObject *module, PyObject *data)
{
    Py_ssize_t size, prefix = measure(data, &size);
    return prefix < 0 ? NULL : PyLong_FromSsize_t(prefix);
}

static PyMethodDef methods[] = {
    {"build_frame", (PyCFunction)(void (*)(void))build_frame, METH_FASTCALL, build_frame_doc},
    {"is_utf8", is_utf8, METH_O, is_utf8_doc},
    {"mask", (PyCFunction)(void (*)(void))mask, METH_FASTCALL, mask_doc},
    {"next_frame", (PyCFunction)(void (*)(void))next_frame, METH_FASTCALL, next_frame_doc},
    {"utf8_prefix", utf8_prefix, METH_O, utf8_prefix_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ws4py._speedups",
    .m_doc = "The functions of ws4py that touch every byte or every frame.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&definition);
}
