/*
 * A made-up graphics processor, /dev/dri/renderD128, and its VAAPI driver, which decodes H.264 (Baseline to High) and H.265 (Main):
 * as far as libavcodec's vaapi hwaccel uses one. One library is both: preloaded (LD_PRELOAD), it answers for the device; loaded by
 * libva, it is the driver. What is inside is libavcodec's own software.
 *
 * Slices, surfaces and images go the way that they go with a real driver. Parameter sets do not: a real driver tells its hardware
 * what is in the parameter buffers, and libavcodec's software wants the sets themselves; they are taken from the packet that the
 * program hands to its decoder.
 *
 *   cc -shared -fPIC -o simulated_drv_video.so va.c $(pkg-config --cflags --libs libavcodec libavutil libva)
 *   LD_PRELOAD=$PWD/simulated_drv_video.so LIBVA_DRIVERS_PATH=$PWD LIBVA_DRIVER_NAME=simulated …
 *
 * Variables say what it is like:
 *   VA_LOG=FILE         a line for each context that is made and destroyed, with the number of its pictures
 *   VA_BROKEN=1         its driver cannot begin
 *   VA_REFUSE=1         it decodes nothing: no profiles
 *   VA_BUSY=1           all contexts are taken
 *   VA_SLOW_MS=N        so long for each picture
 *   VA_WRONG=1          one sample of each picture is wrong
 *   VA_HANG_AFTER=N     does not answer any more after so many pictures of a context
 *   VA_ERROR_AFTER=N    says of all pictures after so many of a context that they are damaged
 *   VA_SOFTWARE_MS=N    and the program's own decoders take so much longer for each packet, as on a slow processor
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <va/va_backend.h>

#define FOLDER "/dev/dri"
#define NAME "renderD128"
#define MOST_OBJECTS 4096
#define MOST_CODED (4 << 20)

/* A surface, an image, a buffer or a context; libva knows each by its number. */
struct object {
    int used;
    VABufferType type;
    uint32_t size, width, height;
    uint8_t *data; /* of surfaces and images: NV12 */
    /* a context's */
    AVCodecContext *decoder;
    VASurfaceID target;
    unsigned made;
};

static struct object objects[MOST_OBJECTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Of the packet that this thread is decoding, until a driver's decoder has got them. */
static __thread uint8_t sets[65536];
static __thread size_t sets_size;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int setting(const char *name)
{
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}

static void note(const char *what, unsigned pictures)
{
    const char *path = getenv("VA_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s %u\n", what, pictures);
        fclose(file);
    }
}

static struct object *object_of(VAGenericID id) { return id < MOST_OBJECTS && objects[id].used ? &objects[id] : NULL; }

static VAStatus create(uint32_t size, VAGenericID *id)
{
    VAStatus status = VA_STATUS_ERROR_ALLOCATION_FAILED;
    pthread_mutex_lock(&lock);
    for (unsigned i = 1; i < MOST_OBJECTS && status; i++) {
        if (objects[i].used)
            continue;
        objects[i] = (struct object){ .used = 1, .size = size, .data = calloc(1, size ? size : 1) };
        *id = i;
        status = VA_STATUS_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static VAStatus destroy(VADriverContextP driver, VAGenericID id)
{
    struct object *object = object_of(id);
    (void)driver;
    if (!object)
        return VA_STATUS_ERROR_INVALID_BUFFER;
    pthread_mutex_lock(&lock);
    free(object->data);
    object->used = 0;
    pthread_mutex_unlock(&lock);
    return VA_STATUS_SUCCESS;
}

/* ---- what it can ---- */

static const VAProfile profiles[] = { VAProfileH264ConstrainedBaseline, VAProfileH264Main, VAProfileH264High, VAProfileHEVCMain };
#define PROFILES (sizeof profiles / sizeof *profiles)
static const VAImageFormat nv12 = { .fourcc = VA_FOURCC_NV12, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 12 };

static VAStatus query_profiles(VADriverContextP driver, VAProfile *list, int *count)
{
    (void)driver;
    *count = setting("VA_REFUSE") ? 0 : PROFILES;
    memcpy(list, profiles, *count * sizeof *list);
    return VA_STATUS_SUCCESS;
}

static VAStatus query_entrypoints(VADriverContextP driver, VAProfile profile, VAEntrypoint *list, int *count)
{
    (void)driver, (void)profile;
    *list = VAEntrypointVLD;
    *count = 1;
    return VA_STATUS_SUCCESS;
}

/* A configuration is its profile. */
static VAStatus create_config(VADriverContextP driver, VAProfile profile, VAEntrypoint entrypoint, VAConfigAttrib *list, int count,
                              VAConfigID *id)
{
    (void)driver, (void)list, (void)count;
    if (entrypoint != VAEntrypointVLD)
        return VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT;
    *id = profile;
    return VA_STATUS_SUCCESS;
}

static VAStatus destroy_config(VADriverContextP driver, VAConfigID id)
{
    (void)driver, (void)id;
    return VA_STATUS_SUCCESS;
}

static VAStatus query_surface_attributes(VADriverContextP driver, VAConfigID config, VASurfaceAttrib *list, unsigned *count)
{
    (void)driver, (void)config;
    if (list)
        *list = (VASurfaceAttrib){ .type = VASurfaceAttribPixelFormat,
                                   .flags = VA_SURFACE_ATTRIB_GETTABLE | VA_SURFACE_ATTRIB_SETTABLE,
                                   .value = { .type = VAGenericValueTypeInteger, .value.i = VA_FOURCC_NV12 } };
    *count = 1;
    return VA_STATUS_SUCCESS;
}

static VAStatus query_image_formats(VADriverContextP driver, VAImageFormat *list, int *count)
{
    (void)driver;
    *list = nv12;
    *count = 1;
    return VA_STATUS_SUCCESS;
}

/* ---- pictures ---- */

static uint32_t stride_of(uint32_t width) { return (width + 63) / 64 * 64; }

static VAStatus create_picture(uint32_t width, uint32_t height, VAGenericID *id)
{
    VAStatus status = create(stride_of(width) * (height + (height + 1) / 2), id);
    if (!status) {
        objects[*id].width = width;
        objects[*id].height = height;
    }
    return status;
}

static VAStatus create_surfaces(VADriverContextP driver, unsigned format, unsigned width, unsigned height, VASurfaceID *list,
                                unsigned count, VASurfaceAttrib *attributes, unsigned attributes_count)
{
    (void)driver, (void)attributes, (void)attributes_count;
    if (format != VA_RT_FORMAT_YUV420)
        return VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT;
    VAStatus status = VA_STATUS_SUCCESS;
    for (unsigned i = 0; i < count && !status; i++)
        status = create_picture(width, height, &list[i]);
    return status;
}

static VAStatus destroy_surfaces(VADriverContextP driver, VASurfaceID *list, int count)
{
    for (int i = 0; i < count; i++)
        destroy(driver, list[i]);
    return VA_STATUS_SUCCESS;
}

/* An image and its buffer are one object. */
static VAStatus create_image(VADriverContextP driver, VAImageFormat *format, int width, int height, VAImage *image)
{
    (void)driver;
    uint32_t stride = stride_of(width);
    *image = (VAImage){ .format = *format, .width = width, .height = height, .num_planes = 2, .pitches = { stride, stride } };
    VAStatus status = format->fourcc == VA_FOURCC_NV12 ? create_picture(width, height, &image->buf)
                                                       : VA_STATUS_ERROR_INVALID_IMAGE_FORMAT;
    if (!status) {
        image->image_id = image->buf;
        image->data_size = objects[image->buf].size;
        image->offsets[1] = stride * height;
    }
    return status;
}

static VAStatus get_image(VADriverContextP driver, VASurfaceID surface, int x, int y, unsigned width, unsigned height, VAImageID image)
{
    (void)driver;
    struct object *from = object_of(surface), *to = object_of(image);
    if (!from || !to || x || y || width > from->width || height > from->height || width > to->width || height > to->height)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    uint32_t from_stride = stride_of(from->width), to_stride = stride_of(to->width);
    for (unsigned row = 0; row < height; row++)
        memcpy(to->data + row * to_stride, from->data + row * from_stride, width);
    for (unsigned row = 0; row < (height + 1) / 2; row++)
        memcpy(to->data + (to->height + row) * to_stride, from->data + (from->height + row) * from_stride, (width + 1) / 2 * 2);
    return VA_STATUS_SUCCESS;
}

static VAStatus fill(struct object *surface, const AVFrame *frame)
{
    uint32_t width = frame->width, height = frame->height, stride = stride_of(surface->width);
    if (frame->format != AV_PIX_FMT_YUV420P && frame->format != AV_PIX_FMT_YUVJ420P)
        return VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT;
    if (width > surface->width || height > surface->height)
        return VA_STATUS_ERROR_INVALID_SURFACE;
    uint8_t *chroma = surface->data + stride * surface->height;
    for (unsigned y = 0; y < height; y++)
        memcpy(surface->data + y * stride, frame->data[0] + y * frame->linesize[0], width);
    for (unsigned y = 0; y < (height + 1) / 2; y++)
        for (unsigned x = 0; x < (width + 1) / 2; x++)
            for (unsigned of = 0; of < 2; of++)
                chroma[y * stride + 2 * x + of] = frame->data[1 + of][y * frame->linesize[1 + of] + x];
    if (setting("VA_WRONG"))
        surface->data[stride * (height / 2)] ^= 1;
    return VA_STATUS_SUCCESS;
}

/* ---- decoding ---- */

static VAStatus create_context(VADriverContextP driver, VAConfigID config, int width, int height, int flag, VASurfaceID *targets,
                               int targets_count, VAContextID *id)
{
    (void)driver, (void)width, (void)height, (void)flag, (void)targets, (void)targets_count;
    if (setting("VA_BUSY")) {
        note("busy", 0);
        return VA_STATUS_ERROR_ALLOCATION_FAILED;
    }
    VAStatus status = create(MOST_CODED, id);
    if (status)
        return status;
    const AVCodec *codec = avcodec_find_decoder(config == VAProfileHEVCMain ? AV_CODEC_ID_HEVC : AV_CODEC_ID_H264);
    struct object *context = &objects[*id];
    context->size = 0;
    context->decoder = avcodec_alloc_context3(codec);
    context->decoder->opaque = context; /* not one of the program */
    context->decoder->thread_count = 1;
    context->decoder->flags |= AV_CODEC_FLAG_UNALIGNED;
    if (avcodec_open2(context->decoder, codec, NULL))
        abort();
    note("open", 0);
    return VA_STATUS_SUCCESS;
}

static VAStatus destroy_context(VADriverContextP driver, VAContextID id)
{
    struct object *context = object_of(id);
    if (!context)
        return VA_STATUS_ERROR_INVALID_CONTEXT;
    note("close", context->made);
    avcodec_free_context(&context->decoder);
    return destroy(driver, id);
}

static VAStatus create_buffer(VADriverContextP driver, VAContextID context, VABufferType type, unsigned size, unsigned count, void *data,
                              VABufferID *id)
{
    (void)driver, (void)context;
    VAStatus status = create(size * count, id);
    if (!status) {
        objects[*id].type = type;
        if (data)
            memcpy(objects[*id].data, data, size * count);
    }
    return status;
}

static VAStatus map_buffer(VADriverContextP driver, VABufferID id, void **data)
{
    (void)driver;
    struct object *buffer = object_of(id);
    *data = buffer ? buffer->data : NULL;
    return buffer ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_BUFFER;
}

static VAStatus unmap_buffer(VADriverContextP driver, VABufferID id)
{
    (void)driver;
    return object_of(id) ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_BUFFER;
}

static VAStatus append(struct object *context, const void *data, size_t size)
{
    if (context->size + size + AV_INPUT_BUFFER_PADDING_SIZE > MOST_CODED)
        return VA_STATUS_ERROR_NOT_ENOUGH_BUFFER;
    memcpy(context->data + context->size, data, size);
    context->size += size;
    return VA_STATUS_SUCCESS;
}

static VAStatus begin_picture(VADriverContextP driver, VAContextID id, VASurfaceID target)
{
    (void)driver;
    struct object *context = object_of(id);
    if (!context || !object_of(target))
        return VA_STATUS_ERROR_INVALID_CONTEXT;
    context->target = target;
    context->size = 0;
    VAStatus status = append(context, sets, sets_size);
    sets_size = 0;
    return status;
}

/* Slices are whole NAL units without start codes. */
static VAStatus render_picture(VADriverContextP driver, VAContextID id, VABufferID *list, int count)
{
    (void)driver;
    struct object *context = object_of(id);
    VAStatus status = context ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_CONTEXT;
    for (int i = 0; i < count && !status; i++) {
        struct object *buffer = object_of(list[i]);
        if (!buffer)
            return VA_STATUS_ERROR_INVALID_BUFFER;
        if (buffer->type != VASliceDataBufferType)
            continue;
        status = append(context, "\0\0\1", 3);
        status = status ? status : append(context, buffer->data, buffer->size);
    }
    return status;
}

static VAStatus end_picture(VADriverContextP driver, VAContextID id)
{
    (void)driver;
    struct object *context = object_of(id), *target = context ? object_of(context->target) : NULL;
    if (!target)
        return VA_STATUS_ERROR_INVALID_CONTEXT;
    unsigned hang_after = setting("VA_HANG_AFTER"), error_after = setting("VA_ERROR_AFTER");
    while (hang_after && context->made >= hang_after)
        pause();
    usleep(1000 * setting("VA_SLOW_MS"));
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    if (av_new_packet(packet, context->size))
        abort();
    memcpy(packet->data, context->data, context->size);
    REAL(avcodec_send_packet)(context->decoder, packet);
    VAStatus status = avcodec_receive_frame(context->decoder, frame) ? VA_STATUS_ERROR_DECODING_ERROR : fill(target, frame);
    av_frame_free(&frame);
    av_packet_free(&packet);
    if (error_after && context->made >= error_after)
        status = VA_STATUS_ERROR_DECODING_ERROR;
    context->made++;
    return status;
}

static VAStatus sync_surface(VADriverContextP driver, VASurfaceID id)
{
    (void)driver;
    return object_of(id) ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_SURFACE;
}

static VAStatus terminate(VADriverContextP driver)
{
    (void)driver;
    return VA_STATUS_SUCCESS;
}

static VAStatus cannot(void) { return VA_STATUS_ERROR_UNIMPLEMENTED; }

/* libva looks for the newest name that it knows, and then for older ones. */
VAStatus __vaDriverInit_1_0(VADriverContextP driver)
{
    struct VADriverVTable *table = driver->vtable;
    if (setting("VA_BROKEN"))
        return VA_STATUS_ERROR_OPERATION_FAILED;
    /* It insists on functions that no decoder needs. */
    VAStatus (**functions)(void) = (VAStatus (**)(void))table;
    for (size_t i = 0; i < offsetof(struct VADriverVTable, reserved) / sizeof *functions; i++)
        functions[i] = cannot;
    driver->version_major = VA_MAJOR_VERSION;
    driver->version_minor = VA_MINOR_VERSION;
    driver->max_profiles = PROFILES;
    driver->max_entrypoints = driver->max_attributes = driver->max_image_formats = 1;
    driver->max_subpic_formats = driver->max_display_attributes = 1;
    driver->str_vendor = "simulated decoder";
    table->vaTerminate = terminate;
    table->vaQueryConfigProfiles = query_profiles;
    table->vaQueryConfigEntrypoints = query_entrypoints;
    table->vaCreateConfig = create_config;
    table->vaDestroyConfig = destroy_config;
    table->vaQuerySurfaceAttributes = query_surface_attributes;
    table->vaQueryImageFormats = query_image_formats;
    table->vaCreateSurfaces2 = create_surfaces;
    table->vaDestroySurfaces = destroy_surfaces;
    table->vaCreateImage = create_image;
    table->vaDestroyImage = destroy;
    table->vaGetImage = get_image;
    table->vaCreateContext = create_context;
    table->vaDestroyContext = destroy_context;
    table->vaCreateBuffer = create_buffer;
    table->vaDestroyBuffer = destroy;
    table->vaMapBuffer = map_buffer;
    table->vaUnmapBuffer = unmap_buffer;
    table->vaBeginPicture = begin_picture;
    table->vaRenderPicture = render_picture;
    table->vaEndPicture = end_picture;
    table->vaSyncSurface = sync_surface;
    return VA_STATUS_SUCCESS;
}

/* ---- the calls that are watched ---- */

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0;
    va_end(more);
    return strcmp(path, FOLDER "/" NAME) ? REAL(open64)(path, flags, mode) : memfd_create(NAME, MFD_CLOEXEC);
}

/* libdrm asks whether it is a character device, which one, */
int fstat64(int fd, struct stat64 *found)
{
    char link[64], name[64] = "";
    int result = REAL(fstat64)(fd, found);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (!result && readlink(link, name, sizeof name - 1) > 0 && !strncmp(name, "/memfd:" NAME, strlen("/memfd:" NAME))) {
        found->st_mode = S_IFCHR | 0666;
        found->st_rdev = makedev(226, 128);
    }
    return result;
}

/* and whether that has anything to do with graphics. */
int stat64(const char *path, struct stat64 *found)
{
    return REAL(stat64)(strcmp(path, "/sys/dev/char/226:128/device/drm") ? path : "/", found);
}

static DIR *devices;
static int listed;

/* The machine's own render nodes are not seen, if it has any. */
DIR *opendir(const char *path)
{
    if (strcmp(path, FOLDER))
        return REAL(opendir)(path);
    listed = 0;
    return devices = REAL(opendir)("/");
}

struct dirent64 *readdir64(DIR *folder)
{
    static struct dirent64 entry = { .d_type = DT_CHR, .d_name = NAME };
    if (folder != devices)
        return REAL(readdir64)(folder);
    return listed++ ? NULL : &entry;
}

int closedir(DIR *folder)
{
    if (folder == devices)
        devices = NULL;
    return REAL(closedir)(folder);
}

/* How many bytes of an access unit are before its first slice. */
static size_t before_slices(const AVCodecContext *context, const AVPacket *packet)
{
    for (int i = 0; i + 3 < packet->size; i++) {
        const uint8_t *at = packet->data + i;
        int h265 = context->codec_id == AV_CODEC_ID_HEVC, kind = h265 ? at[3] >> 1 & 63 : at[3] & 31;
        if (!at[0] && !at[1] && at[2] == 1 && (h265 ? kind < 32 : kind >= 1 && kind <= 5))
            return i;
    }
    return packet->size;
}

int avcodec_send_packet(AVCodecContext *context, const AVPacket *packet)
{
    if (context->hw_device_ctx && packet) {
        size_t size = before_slices(context, packet);
        if (size > 1 && size <= sizeof sets) {
            memcpy(sets, packet->data, size);
            sets_size = size;
        }
    } else if (context->codec && !context->codec->wrapper_name && !context->opaque) {
        usleep(1000 * setting("VA_SOFTWARE_MS"));
    }
    return REAL(avcodec_send_packet)(context, packet);
}
