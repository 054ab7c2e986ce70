"""The phrases of our mails, in each language.

Subjects, messages and phrases hold the named fields of `portal.domain.mail.invitation_mail`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

# Mails about changes somebody else may have made; each ends with `if_not_you`.
WARNINGS = (
    *("new_sign_in", "password_changed", "second_factor_app_added", "second_factor_app_removed"),
    *("second_factor_passkey_added", "second_factor_passkey_removed"),
    *("second_factor_codes_renewed", "api_token_created"),
)


@dataclass(frozen=True, kw_only=True)
class Language:
    """The phrases of one language; `subjects`, `messages`, `buttons` by kind of mail."""

    code: str
    name: str
    months: tuple[str, ...]
    subjects: Mapping[str, str]
    messages: Mapping[str, str]
    buttons: Mapping[str, str]
    greeting: str
    no_end: str
    your_code: str
    open: str
    valid: str
    valid_without_end: str
    opens: str
    scan: str
    type_it: str
    ask: str
    unexpected: str
    if_not_you: str
    short_lived: str
    ask_nobody: str
    stop: str
    stop_title: str
    stop_question: str
    stop_button: str
    stopped_title: str
    stopped: str

    def moment(self, value: datetime) -> str:
        """Format a time: `21 November 2026, 12:00 UTC`."""
        utc = value.astimezone(UTC)
        return f"{utc.day} {self.months[utc.month - 1]} {utc:%Y, %H:%M} UTC"


ENGLISH = Language(
    code="en",
    name="English",
    months=(
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    subjects={
        "invitation": "Your invitation to {site}",
        "reminder": "Your invitation to {site} ends soon",
        "expired": "Your invitation to {site} has ended",
        "activation": "Confirm your e-mail for {site}",
        "reset": "Your code for a new password at {site}",
        "new_email": "Confirm your new e-mail for {site}",
        "recipient": "Your code for the invitation to {site}",
        "email_changed": "Your e-mail at {site} was changed",
        "new_sign_in": "New sign-in to your account at {site}",
        "password_changed": "Your password at {site} was changed",
        "second_factor_app_added": "An authenticator app was added to your account at {site}",
        "second_factor_app_removed": "The app was removed from your account at {site}",
        "second_factor_passkey_added": "A passkey was added to your account at {site}",
        "second_factor_passkey_removed": "A passkey was removed from your account at {site}",
        "second_factor_codes_renewed": "New recovery codes for your account at {site}",
        "api_token_created": "A new API token for your account at {site}",
        "second_factor_all_removed": "The second step of your account at {site} was removed",
        "deactivated": "Your account at {site} was deactivated",
        "account_exists": "You have an account at {site}",
    },
    messages={
        "invitation": "{inviter} invites you to {site}.",
        "reminder": (
            "{inviter} invited you to {site}, and the invitation still waits for you."
            " It ends on {expires}."
        ),
        "expired": (
            "Your invitation to {site} ended on {expires}, before it was used."
            " If you would still like to come, ask {inviter} for a new one."
        ),
        "activation": (
            "Somebody signed up at {site} with this address. If it was you, enter the code on the"
            " page that waits for it, or press the button."
        ),
        "reset": (
            "Somebody asked for a new password for your account at {site}. If it was you, enter"
            " the code on the page that waits for it.\n\nIf it was not you, do nothing: your"
            " password stays as it is."
        ),
        "new_email": (
            "An account at {site} is to use this address from now on. If that is what you want,"
            " enter the code on the page that waits for it, or press the button."
        ),
        "recipient": (
            "Somebody used an invitation to {site} with this address. If it was you, enter the"
            " code on the page that waits for it."
        ),
        "email_changed": (
            "Your account at {site} uses another e-mail from now on; this address does not open it"
            " any more.\n\nIf that was not you, tell the people who run {site} at once."
        ),
        "new_sign_in": (
            "Somebody signed in to your account on a device we had not seen before:\n"
            "{client}, at the address {address}, on {moment}."
        ),
        "password_changed": "The password of your account at {site} was changed.",
        "second_factor_app_added": "Signing in at {site} now asks for a code of your new app.",
        "second_factor_app_removed": "Signing in at {site} no longer asks for a code of the app.",
        "second_factor_passkey_added": (
            "Your account at {site} can now be opened with a new passkey, without the password."
        ),
        "second_factor_passkey_removed": "A passkey of your account at {site} opens it no more.",
        "second_factor_codes_renewed": (
            "Ten new recovery codes were made for your account at {site}. Those from before are"
            " good for nothing now."
        ),
        "api_token_created": (
            "An API token was made for your account at {site} on {moment}. It ends in {hint}, and"
            " its scope is “{scope}”. Programs that show it act in your name until it expires, or"
            " until you revoke it on the page “API tokens”."
        ),
        "second_factor_all_removed": (
            "An owner of {site} removed the app, the passkeys and the recovery codes of your"
            " account: your password alone opens it now.\n\nIf you did not ask for that, tell the"
            " people who run {site} at once."
        ),
        "deactivated": (
            "Your account at {site} was deactivated, and you are signed out everywhere.\n\n"
            "If you think that is a mistake, ask the people who run {site}."
        ),
        "account_exists": (
            "Somebody wanted to use this address for an account at {site}. You have one already:"
            " sign in with it. If you forgot the password, you can choose a new one there."
        ),
    },
    buttons={
        "activation": "Confirm my e-mail",
        "new_email": "Use this address",
        "account_exists": "Sign in",
        "second_factor_all_removed": "Set up a second step",
        **dict.fromkeys(WARNINGS, "Choose a new password"),
    },
    greeting="Hello {name},",
    no_end="further notice",
    your_code="Your code",
    open="Open the invitation",
    valid="Valid until {expires}.",
    valid_without_end="Valid without end.",
    opens="It opens on {opens}.",
    scan="On another device? Scan this picture with its camera.",
    type_it="Or type the code at {address}",
    ask="Ask for a new invitation",
    unexpected="If you did not expect this mail, you need not do anything.",
    if_not_you=(
        "If that was not you, choose a new password now: that ends every session and every API"
        " token. Then look in your account, under “How you sign in”, for what is not yours, or ask"
        " the people who run {site} for help."
    ),
    short_lived="The code is good for ten minutes.",
    ask_nobody="Nobody who works here will ever ask you for it.",
    stop="Never write to this address again",
    stop_title="No more mail?",
    stop_question="We will not send invitations to {address} any more.",
    stop_button="Never write to me again",
    stopped_title="No more mail",
    stopped="We will not send invitations to {address} any more. A code you have still opens.",
)
INDONESIAN = Language(
    code="id",
    name="Bahasa Indonesia",
    months=(
        *("Januari", "Februari", "Maret", "April", "Mei", "Juni"),
        *("Juli", "Agustus", "September", "Oktober", "November", "Desember"),
    ),
    subjects={
        "invitation": "Undangan Anda ke {site}",
        "reminder": "Undangan Anda ke {site} segera berakhir",
        "expired": "Undangan Anda ke {site} telah berakhir",
        "activation": "Konfirmasi surel Anda untuk {site}",
        "reset": "Kode kata sandi baru Anda di {site}",
        "new_email": "Konfirmasi surel baru Anda untuk {site}",
        "recipient": "Kode Anda untuk undangan ke {site}",
        "email_changed": "Surel Anda di {site} telah diganti",
        "new_sign_in": "Login baru ke akun Anda di {site}",
        "password_changed": "Kata sandi Anda di {site} telah diganti",
        "second_factor_app_added": "Aplikasi autentikator ditambahkan ke akun Anda di {site}",
        "second_factor_app_removed": "Aplikasi autentikator dihapus dari akun Anda di {site}",
        "second_factor_passkey_added": "Kunci sandi ditambahkan ke akun Anda di {site}",
        "second_factor_passkey_removed": "Kunci sandi dihapus dari akun Anda di {site}",
        "second_factor_codes_renewed": "Kode pemulihan baru untuk akun Anda di {site}",
        "api_token_created": "Token API baru untuk akun Anda di {site}",
        "second_factor_all_removed": "Langkah kedua akun Anda di {site} telah dihapus",
        "deactivated": "Akun Anda di {site} telah dinonaktifkan",
        "account_exists": "Anda sudah memiliki akun di {site}",
    },
    messages={
        "invitation": "{inviter} mengundang Anda ke {site}.",
        "reminder": (
            "{inviter} telah mengundang Anda ke {site}, dan undangan itu masih menunggu Anda."
            " Undangan berakhir pada {expires}."
        ),
        "expired": (
            "Undangan Anda ke {site} berakhir pada {expires} sebelum sempat digunakan."
            " Jika masih ingin bergabung, mintalah undangan baru kepada {inviter}."
        ),
        "activation": (
            "Seseorang mendaftar di {site} dengan alamat ini. Jika itu Anda, masukkan kode di"
            " halaman yang menunggunya, atau tekan tombolnya."
        ),
        "reset": (
            "Seseorang meminta kata sandi baru untuk akun Anda di {site}. Jika itu Anda, masukkan"
            " kode di halaman yang menunggunya.\n\nJika bukan Anda, abaikan saja: kata sandi Anda"
            " tidak berubah."
        ),
        "new_email": (
            "Sebuah akun di {site} akan memakai alamat ini mulai sekarang. Jika itu yang Anda"
            " inginkan, masukkan kode di halaman yang menunggunya, atau tekan tombolnya."
        ),
        "recipient": (
            "Seseorang menggunakan undangan ke {site} dengan alamat ini. Jika itu Anda, masukkan"
            " kode di halaman yang menunggunya."
        ),
        "email_changed": (
            "Akun Anda di {site} kini memakai surel lain; alamat ini tidak lagi membuka akun"
            " tersebut.\n\nJika bukan Anda yang menggantinya, segera beri tahu pengelola {site}."
        ),
        "new_sign_in": (
            "Seseorang masuk ke akun Anda dari perangkat yang belum kami kenal:\n"
            "{client}, dari alamat {address}, pada {moment}."
        ),
        "password_changed": "Kata sandi akun Anda di {site} telah diganti.",
        "second_factor_app_added": "Untuk masuk di {site} kini diperlukan kode dari aplikasi baru.",
        "second_factor_app_removed": "Untuk masuk di {site} kode aplikasi tidak diperlukan lagi.",
        "second_factor_passkey_added": (
            "Sebuah kunci sandi baru dapat membuka akun Anda di {site} tanpa kata sandi."
        ),
        "second_factor_passkey_removed": "Satu kunci sandi akun Anda di {site} tidak berlaku lagi.",
        "second_factor_codes_renewed": (
            "Sepuluh kode pemulihan baru dibuat untuk akun Anda di {site}. Kode yang lama tidak"
            " berlaku lagi."
        ),
        "api_token_created": (
            "Sebuah token API dibuat untuk akun Anda di {site} pada {moment}. Token itu berakhiran"
            " {hint}, dan cakupannya “{scope}”. Program yang memakainya bertindak atas nama Anda"
            " sampai token itu kedaluwarsa, atau sampai Anda mencabutnya di halaman “API tokens”."
        ),
        "second_factor_all_removed": (
            "Seorang pemilik {site} menghapus aplikasi, kunci sandi, dan kode pemulihan akun Anda:"
            " kini kata sandi saja sudah cukup untuk masuk.\n\nJika Anda tidak memintanya, segera"
            " beri tahu pengelola {site}."
        ),
        "deactivated": (
            "Akun Anda di {site} telah dinonaktifkan, dan Anda dikeluarkan dari semua"
            " perangkat.\n\nJika menurut Anda ini keliru, hubungi pengelola {site}."
        ),
        "account_exists": (
            "Seseorang ingin memakai alamat ini untuk sebuah akun di {site}. Anda sudah memiliki"
            " akun: masuklah dengan akun itu. Jika lupa kata sandinya, Anda dapat memilih yang baru"
            " di sana."
        ),
    },
    buttons={
        "activation": "Konfirmasi surel saya",
        "new_email": "Pakai alamat ini",
        "account_exists": "Masuk",
        "second_factor_all_removed": "Pasang langkah kedua",
        **dict.fromkeys(WARNINGS, "Pilih kata sandi baru"),
    },
    greeting="Halo {name},",
    no_end="pemberitahuan lebih lanjut",
    your_code="Kode Anda",
    open="Buka undangan",
    valid="Berlaku sampai {expires}.",
    valid_without_end="Berlaku tanpa batas waktu.",
    opens="Undangan dibuka pada {opens}.",
    scan="Memakai perangkat lain? Pindai gambar ini dengan kameranya.",
    type_it="Atau ketik kodenya di {address}",
    ask="Minta undangan baru",
    unexpected="Jika Anda tidak mengharapkan surel ini, abaikan saja.",
    if_not_you=(
        "Jika bukan Anda, segera pilih kata sandi baru: semua sesi dan token API akan berakhir."
        " Lalu periksa di akun Anda, pada “How you sign in”, apa yang bukan milik Anda, atau"
        " mintalah bantuan pengelola {site}."
    ),
    short_lived="Kode berlaku selama sepuluh menit.",
    ask_nobody="Tidak seorang pun dari kami akan pernah memintanya kepada Anda.",
    stop="Jangan kirim surel ke alamat ini lagi",
    stop_title="Berhenti menerima surel?",
    stop_question="Kami tidak akan mengirim undangan lagi ke {address}.",
    stop_button="Jangan kirimi saya lagi",
    stopped_title="Tidak ada surel lagi",
    stopped=(
        "Kami tidak akan mengirim undangan lagi ke {address}. Kode yang Anda miliki tetap berlaku."
    ),
)
LANGUAGES = {language.code: language for language in (ENGLISH, INDONESIAN)}
