#include "lake/spill.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define PREFIX "tarn-spill-"

/* Others of this machine may have such folders too. */
static bool is_ours(void *context, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid == geteuid();
}

void spill_open(struct spill *ret_spill)
{
	struct error err = {0};

	*ret_spill = (struct spill){.path = ""};
	folder_sweep(NULL, PREFIX, is_ours, NULL);
	if (folder_hold(NULL, PREFIX, &ret_spill->folder, &err) == 0)
		ret_spill->path = ret_spill->folder.path;
	else
		log_event(EVENT_LAKE, NO_FIELDS, "nowhere to spill to, what does not fit in memory fails: %s",
		          err.message);
}

void spill_close(struct spill *spill)
{
	folder_let_go(&spill->folder);
	spill->path = "";
}
