/*
 * A made-up V4L2 device, /dev/video40, that decodes H.264 and H.265: a stateful memory-to-memory decoder as the kernel documents it
 * (Documentation/userspace-api/media/v4l/dev-decoder.rst), as far as libavcodec's h264_v4l2m2m and hevc_v4l2m2m use one. Preloaded
 * (LD_PRELOAD), it answers what a program asks of that device; everything else goes where it always went. What is inside is
 * libavcodec's own software.
 *
 *   cc -shared -fPIC -o m2m.so m2m.c $(pkg-config --cflags --libs libavcodec libavutil)
 *
 * Variables say what it is like:
 *   M2M_LOG=FILE         a line for each session that is opened and closed, with the number of its pictures
 *   M2M_NV12=1           pictures are NV12 instead of I420
 *   M2M_CHANGE=1         begins with pictures of 32x32 and says with the first packet what size they have
 *   M2M_BUSY=1           all sessions are taken
 *   M2M_SLOW_MS=N        so long for each picture
 *   M2M_WRONG=1          one sample of each picture is wrong
 *   M2M_HOLD=N           keeps so many pictures back
 *   M2M_HANG_AFTER=N     does not answer any more after so many pictures of a session
 *   M2M_ERROR_AFTER=N    says of all pictures after so many of a session that they are damaged
 *   M2M_SOFTWARE_MS=N    and the program's own decoders take so much longer for each packet, as on a slow processor
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>

#define NAME "video40"
#define PATH "/dev/" NAME
#define MOST_SESSIONS 8
#define MOST_BUFFERS 32
#define MOST_HELD 64

enum where { WITH_PROGRAM, QUEUED, DONE };

struct buffer {
    enum where where;
    unsigned turn; /* which of those QUEUED or DONE is the next */
    uint8_t *memory;
    uint32_t offset, length, used, flags;
    struct timeval time;
};

struct queue {
    struct v4l2_pix_format_mplane format;
    struct buffer buffers[MOST_BUFFERS];
    unsigned count, turn;
    int streams;
};

struct session {
    int fd; /* of the memory in which all buffers are; 0: not open */
    uint32_t memory_bytes;
    struct queue coded, pictures; /* the kernel calls them OUTPUT and CAPTURE */
    struct v4l2_event events[8];
    unsigned events_count;
    int waits; /* for the program to take the new size */
    AVCodecContext *decoder;
    AVFrame *held[MOST_HELD];
    unsigned held_count, made;
    int drains, ended;
};

static struct session sessions[MOST_SESSIONS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int setting(const char *name)
{
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}

static struct session *session_of(int fd)
{
    for (int i = 0; i < MOST_SESSIONS; i++)
        if (fd > 0 && sessions[i].fd == fd)
            return &sessions[i];
    return NULL;
}

static void note(const char *what, unsigned pictures)
{
    const char *path = getenv("M2M_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s %u\n", what, pictures);
        fclose(file);
    }
}

/* The next of a queue's buffers that are there, or NULL. */
static struct buffer *next_of(struct queue *queue, enum where where)
{
    struct buffer *first = NULL;
    for (unsigned i = 0; i < queue->count; i++) {
        struct buffer *buffer = &queue->buffers[i];
        if (buffer->where == where && (!first || (int)(buffer->turn - first->turn) < 0))
            first = buffer;
    }
    return first;
}

static void move(struct queue *queue, struct buffer *buffer, enum where where)
{
    buffer->where = where;
    buffer->turn = queue->turn++;
}

/* ---- pictures ---- */

static uint32_t aligned(uint32_t value, uint32_t to) { return (value + to - 1) / to * to; }

static void set_size(struct session *s, uint32_t width, uint32_t height)
{
    struct v4l2_pix_format_mplane *f = &s->pictures.format;
    f->width = aligned(width, 16);
    f->height = aligned(height, 16);
    f->pixelformat = setting("M2M_NV12") ? V4L2_PIX_FMT_NV12 : V4L2_PIX_FMT_YUV420;
    f->num_planes = 1;
    f->plane_fmt[0].bytesperline = aligned(width, 64);
    f->plane_fmt[0].sizeimage = f->plane_fmt[0].bytesperline * f->height * 3 / 2;
}

static void plane(uint8_t *to, int to_stride, const uint8_t *from, int from_stride, int width, int height, int step)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            to[y * to_stride + x * step] = from[y * from_stride + x];
}

static void fill(struct session *s, struct buffer *buffer, const AVFrame *frame)
{
    struct v4l2_pix_format_mplane *f = &s->pictures.format;
    int stride = f->plane_fmt[0].bytesperline, width = frame->width, height = frame->height;
    uint8_t *chroma = buffer->memory + stride * f->height;
    plane(buffer->memory, stride, frame->data[0], frame->linesize[0], width, height, 1);
    for (int i = 1; i < 3; i++) {
        if (f->pixelformat == V4L2_PIX_FMT_NV12)
            plane(chroma + i - 1, stride, frame->data[i], frame->linesize[i], (width + 1) / 2, (height + 1) / 2, 2);
        else
            plane(chroma + (i - 1) * (stride * f->height / 4), stride / 2, frame->data[i], frame->linesize[i],
                  (width + 1) / 2, (height + 1) / 2, 1);
    }
    if (setting("M2M_WRONG"))
        buffer->memory[stride * (height / 2)] ^= 1;
    int error_after = setting("M2M_ERROR_AFTER");
    buffer->flags = error_after && s->made >= (unsigned)error_after ? V4L2_BUF_FLAG_ERROR : 0;
    buffer->used = f->plane_fmt[0].sizeimage;
    buffer->time = (struct timeval){ frame->pts / 1000000, frame->pts % 1000000 };
    s->made++;
}

static void decode(struct session *s, const struct buffer *coded)
{
    __typeof__(&avcodec_send_packet) send_packet = REAL(avcodec_send_packet);
    AVPacket *packet = av_packet_alloc();
    if (!s->decoder) {
        int h265 = s->coded.format.pixelformat == V4L2_PIX_FMT_HEVC;
        const AVCodec *codec = avcodec_find_decoder(h265 ? AV_CODEC_ID_HEVC : AV_CODEC_ID_H264);
        s->decoder = avcodec_alloc_context3(codec);
        s->decoder->opaque = s; /* not one of the program */
        s->decoder->thread_count = 1;
        s->decoder->flags |= AV_CODEC_FLAG_UNALIGNED;
        if (avcodec_open2(s->decoder, codec, NULL))
            abort();
    }
    if (av_new_packet(packet, coded->used))
        abort();
    memcpy(packet->data, coded->memory, coded->used);
    packet->pts = coded->time.tv_sec * 1000000 + coded->time.tv_usec;
    send_packet(s->decoder, packet);
    av_packet_free(&packet);
    for (;;) {
        AVFrame *frame = av_frame_alloc();
        if (s->held_count == MOST_HELD || avcodec_receive_frame(s->decoder, frame)) {
            av_frame_free(&frame);
            break;
        }
        s->held[s->held_count++] = frame;
    }
    usleep(1000 * setting("M2M_SLOW_MS"));
}

/* What the hardware does by itself: takes packets, gives pictures. */
static void work(struct session *s)
{
    struct buffer *coded, *picture;
    while (s->coded.streams && !s->waits && (coded = next_of(&s->coded, QUEUED))) {
        decode(s, coded);
        move(&s->coded, coded, DONE);
        struct v4l2_pix_format_mplane *f = &s->pictures.format;
        if (s->held_count && (f->width != aligned(s->held[0]->width, 16) || f->height != aligned(s->held[0]->height, 16))) {
            set_size(s, s->held[0]->width, s->held[0]->height);
            s->events[s->events_count++ % 8] = (struct v4l2_event){ .type = V4L2_EVENT_SOURCE_CHANGE };
            s->waits = 1;
        }
    }
    unsigned hold = s->drains ? 0 : setting("M2M_HOLD");
    while (s->pictures.streams && !s->waits && s->held_count > hold && (picture = next_of(&s->pictures, QUEUED))) {
        fill(s, picture, s->held[0]);
        move(&s->pictures, picture, DONE);
        av_frame_free(&s->held[0]);
        memmove(s->held, s->held + 1, --s->held_count * sizeof *s->held);
    }
    if (s->drains && !s->held_count && (picture = next_of(&s->pictures, QUEUED))) {
        picture->used = 0;
        picture->flags = V4L2_BUF_FLAG_LAST;
        move(&s->pictures, picture, DONE);
        s->drains = 0;
    }
}

/* ---- what a program asks ---- */

static int fail(int error)
{
    errno = error;
    return -1;
}

static struct queue *queue_of(struct session *s, uint32_t type)
{
    return type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE    ? &s->coded
           : type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE ? &s->pictures
                                                        : NULL;
}

static int format(struct session *s, unsigned long request, struct v4l2_format *asked)
{
    struct queue *queue = queue_of(s, asked->type);
    struct v4l2_pix_format_mplane *p = &asked->fmt.pix_mp;
    if (!queue)
        return fail(EINVAL);
    if (request == VIDIOC_G_FMT) {
        *p = queue->format;
    } else if (queue == &s->coded) {
        if (p->pixelformat != V4L2_PIX_FMT_H264 && p->pixelformat != V4L2_PIX_FMT_HEVC)
            return fail(EINVAL);
        p->num_planes = 1;
        p->plane_fmt[0].bytesperline = 0;
        if (p->plane_fmt[0].sizeimage < 65536)
            p->plane_fmt[0].sizeimage = 65536;
        if (request == VIDIOC_S_FMT) {
            queue->format = *p;
            if (p->width && p->height && !setting("M2M_CHANGE"))
                set_size(s, p->width, p->height);
        }
    } else {
        if (p->pixelformat != s->pictures.format.pixelformat)
            return fail(EINVAL);
        *p = s->pictures.format;
    }
    return 0;
}

static int describe(struct session *s, struct v4l2_fmtdesc *d)
{
    static const uint32_t coded[] = { V4L2_PIX_FMT_H264, V4L2_PIX_FMT_HEVC };
    struct queue *queue = queue_of(s, d->type);
    if (!queue || d->index >= (queue == &s->coded ? 2 : 1))
        return fail(EINVAL);
    d->pixelformat = queue == &s->coded ? coded[d->index] : s->pictures.format.pixelformat;
    return 0;
}

static int request_buffers(struct session *s, struct v4l2_requestbuffers *r)
{
    struct queue *queue = queue_of(s, r->type);
    if (!queue || r->memory != V4L2_MEMORY_MMAP || queue->streams)
        return fail(queue && queue->streams ? EBUSY : EINVAL);
    for (unsigned i = 0; i < queue->count; i++)
        munmap(queue->buffers[i].memory, queue->buffers[i].length);
    memset(queue->buffers, 0, sizeof queue->buffers);
    queue->count = r->count = r->count < MOST_BUFFERS ? r->count : MOST_BUFFERS;
    for (unsigned i = 0; i < queue->count; i++) {
        struct buffer *buffer = &queue->buffers[i];
        buffer->offset = s->memory_bytes;
        buffer->length = aligned(queue->format.plane_fmt[0].sizeimage, 4096);
        s->memory_bytes += buffer->length;
        if (ftruncate(s->fd, s->memory_bytes))
            return fail(ENOMEM);
        buffer->memory = mmap(NULL, buffer->length, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, buffer->offset);
        if (buffer->memory == MAP_FAILED)
            return fail(ENOMEM);
    }
    return 0;
}

static void tell(const struct queue *queue, const struct buffer *buffer, struct v4l2_buffer *b)
{
    b->index = buffer - queue->buffers;
    b->flags = buffer->flags;
    b->timestamp = buffer->time;
    b->length = 1;
    b->m.planes[0].length = buffer->length;
    b->m.planes[0].bytesused = buffer->used;
    b->m.planes[0].m.mem_offset = buffer->offset;
}

static int buffers(struct session *s, unsigned long request, struct v4l2_buffer *b)
{
    struct queue *queue = queue_of(s, b->type);
    struct buffer *buffer;
    if (!queue)
        return fail(EINVAL);
    if (request == VIDIOC_DQBUF) {
        buffer = next_of(queue, DONE);
        if (!queue->streams)
            return fail(EINVAL);
        if (!buffer)
            return fail(queue == &s->pictures && s->ended ? EPIPE : EAGAIN);
        if (buffer->flags & V4L2_BUF_FLAG_LAST)
            s->ended = 1;
        buffer->where = WITH_PROGRAM;
        tell(queue, buffer, b);
        return 0;
    }
    if (b->index >= queue->count)
        return fail(EINVAL);
    buffer = &queue->buffers[b->index];
    if (request == VIDIOC_QUERYBUF) {
        tell(queue, buffer, b);
        return 0;
    }
    if (buffer->where != WITH_PROGRAM)
        return fail(EINVAL);
    if (queue == &s->coded) {
        buffer->used = b->m.planes[0].bytesused;
        buffer->time = b->timestamp;
    }
    move(queue, buffer, QUEUED);
    work(s);
    return 0;
}

static int stream(struct session *s, uint32_t type, int on)
{
    struct queue *queue = queue_of(s, type);
    if (!queue)
        return fail(EINVAL);
    queue->streams = on;
    if (!on)
        for (unsigned i = 0; i < queue->count; i++)
            queue->buffers[i].where = WITH_PROGRAM;
    if (queue == &s->pictures)
        s->waits = s->ended = 0;
    work(s);
    return 0;
}

static int answer(struct session *s, unsigned long request, void *argument)
{
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *cap = argument;
        memset(cap, 0, sizeof *cap);
        strcpy((char *)cap->driver, "simulated");
        strcpy((char *)cap->card, "simulated decoder");
        cap->capabilities = V4L2_CAP_VIDEO_M2M_MPLANE | V4L2_CAP_STREAMING;
        return 0;
    }
    case VIDIOC_ENUM_FMT:
        return describe(s, argument);
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT:
        return format(s, request, argument);
    case VIDIOC_REQBUFS:
        return request_buffers(s, argument);
    case VIDIOC_QUERYBUF:
    case VIDIOC_QBUF:
    case VIDIOC_DQBUF:
        return buffers(s, request, argument);
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        return stream(s, *(int *)argument, request == VIDIOC_STREAMON);
    case VIDIOC_SUBSCRIBE_EVENT:
        return 0;
    case VIDIOC_DQEVENT:
        if (!s->events_count)
            return fail(ENOENT);
        *(struct v4l2_event *)argument = s->events[0];
        memmove(s->events, s->events + 1, --s->events_count * sizeof *s->events);
        return 0;
    case VIDIOC_S_SELECTION:
        return 0;
    case VIDIOC_G_SELECTION: {
        struct v4l2_selection *selection = argument;
        selection->r = (struct v4l2_rect){ 0, 0, s->pictures.format.width, s->pictures.format.height };
        if (s->decoder && s->decoder->width)
            selection->r = (struct v4l2_rect){ 0, 0, s->decoder->width, s->decoder->height };
        return 0;
    }
    case VIDIOC_DECODER_CMD:
        s->drains = ((struct v4l2_decoder_cmd *)argument)->cmd == V4L2_DEC_CMD_STOP;
        work(s);
        return 0;
    default:
        return fail(ENOTTY);
    }
}

/* ---- the calls that are watched ---- */

static int open_session(void)
{
    struct session *s = NULL;
    pthread_mutex_lock(&lock);
    int fd = setting("M2M_BUSY") ? -1 : memfd_create(NAME, MFD_CLOEXEC);
    for (int i = 0; fd >= 0 && !s && i < MOST_SESSIONS; i++)
        s = sessions[i].fd ? NULL : &sessions[i];
    if (s) {
        memset(s, 0, sizeof *s);
        s->fd = fd;
        set_size(s, 32, 32);
    }
    pthread_mutex_unlock(&lock);
    note(s ? "open" : "busy", 0);
    return s ? fd : fail(EBUSY);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0;
    va_end(more);
    return strcmp(path, PATH) ? REAL(open64)(path, flags, mode) : open_session();
}

int close(int fd)
{
    pthread_mutex_lock(&lock);
    struct session *s = session_of(fd);
    if (s) {
        note("close", s->made);
        for (unsigned i = 0; i < s->held_count; i++)
            av_frame_free(&s->held[i]);
        avcodec_free_context(&s->decoder);
        s->fd = 0;
    }
    pthread_mutex_unlock(&lock);
    return REAL(close)(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    pthread_mutex_lock(&lock);
    struct session *s = session_of(fd);
    int result = s ? answer(s, request, argument) : 0;
    pthread_mutex_unlock(&lock);
    return s ? result : REAL(ioctl)(fd, request, argument);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    pthread_mutex_lock(&lock);
    struct session *s = count == 1 ? session_of(fds->fd) : NULL;
    int hang_after = setting("M2M_HANG_AFTER"), ready = 0;
    if (s && hang_after && s->made >= (unsigned)hang_after) {
        pthread_mutex_unlock(&lock);
        for (;;)
            pause();
    }
    if (s) {
        struct queue *queues[] = { &s->coded, &s->pictures };
        int idle = 0;
        for (int i = 0; i < 2; i++)
            idle += !queues[i]->streams || (!next_of(queues[i], QUEUED) && !next_of(queues[i], DONE));
        ready |= s->events_count ? POLLPRI : 0;
        ready |= idle == 2 ? POLLERR : 0;
        ready |= s->coded.streams && next_of(&s->coded, DONE) ? POLLOUT | POLLWRNORM : 0;
        ready |= s->pictures.streams && (s->ended || next_of(&s->pictures, DONE)) ? POLLIN | POLLRDNORM : 0;
        fds->revents = ready & (fds->events | POLLERR);
    }
    pthread_mutex_unlock(&lock);
    if (!s)
        return REAL(poll)(fds, count, timeout);
    /* Nothing happens without being asked for: whoever waits for it waits for ever. */
    if (!fds->revents)
        usleep(timeout < 0 ? 1000000000 : 1000 * timeout);
    return fds->revents != 0;
}

static DIR *devices;
static int listed;

DIR *opendir(const char *path)
{
    DIR *folder = REAL(opendir)(path);
    if (folder && !strcmp(path, "/dev")) {
        devices = folder;
        listed = 0;
    }
    return folder;
}

struct dirent64 *readdir64(DIR *folder)
{
    static struct dirent64 entry = { .d_type = DT_CHR, .d_name = NAME };
    struct dirent64 *found = REAL(readdir64)(folder);
    return !found && folder == devices && !listed++ ? &entry : found;
}

int avcodec_send_packet(AVCodecContext *context, const AVPacket *packet)
{
    if (context->codec && !context->codec->wrapper_name && !context->hw_device_ctx && !context->opaque)
        usleep(1000 * setting("M2M_SOFTWARE_MS"));
    return REAL(avcodec_send_packet)(context, packet);
}
